import { suiteInChromium } from "./suite.ts";

suiteInChromium("the built page works in Chromium", new URL("page_suite.ts", import.meta.url));
