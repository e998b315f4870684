import { suiteInChromium } from "./suite.ts";

suiteInChromium("the page bears what people do to it", new URL("unlucky_suite.ts", import.meta.url));
