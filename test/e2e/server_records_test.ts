import { suiteInChromium } from "./suite.ts";

suiteInChromium(
  "the page's runs are recorded in Firestore, in Chromium",
  new URL("server_records_suite.ts", import.meta.url),
);
