import { suiteInChromium } from "./suite.ts";

suiteInChromium(
  "runs are watched, asked and compared in Chromium",
  new URL("runs_suite.ts", import.meta.url),
);
