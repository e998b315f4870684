import { suiteInChromium } from "./suite.ts";

suiteInChromium(
  "models of the server's buckets come to the page in Chromium",
  new URL("bucket_models_suite.ts", import.meta.url),
);
