import { suiteInChromium } from "./suite.ts";

suiteInChromium("the page is accessible in Chromium", new URL("accessibility_suite.ts", import.meta.url));
