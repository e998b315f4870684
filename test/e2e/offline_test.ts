import { suiteInChromium } from "./suite.ts";

suiteInChromium("the page works offline in Chromium", new URL("offline_suite.ts", import.meta.url));
