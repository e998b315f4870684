import { suiteInChromium } from "./suite.ts";

suiteInChromium("the page stands faults in Chromium", new URL("page_faults_suite.ts", import.meta.url));
