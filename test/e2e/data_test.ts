import { suiteInChromium } from "./suite.ts";

suiteInChromium("data is read, shown and trained on in Chromium", new URL("data_suite.ts", import.meta.url));
