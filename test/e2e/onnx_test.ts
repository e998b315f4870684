import { noRuntime } from "../export/onnx_child.ts";
import { suiteInChromium } from "./suite.ts";

const missing = noRuntime === null ? [] : [noRuntime];
suiteInChromium("exported ONNX models run in a page", new URL("onnx_suite.ts", import.meta.url), missing);
