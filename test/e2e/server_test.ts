import { suiteInChromium } from "./suite.ts";

suiteInChromium("the page of a server works in Chromium", new URL("server_suite.ts", import.meta.url));
