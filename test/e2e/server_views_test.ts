import { suiteInChromium } from "./suite.ts";

suiteInChromium(
  "what the page shows of its server, in Chromium",
  new URL("server_views_suite.ts", import.meta.url),
);
