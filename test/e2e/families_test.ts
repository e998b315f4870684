import { goldenCases } from "./family_goldens.ts";
import { suiteInChromium } from "./suite.ts";

suiteInChromium(
  "every family trains in Chromium as in Deno",
  new URL("families_suite.ts", import.meta.url),
  (await goldenCases()).length > 0 ? [] : ["needs shared data"],
);
