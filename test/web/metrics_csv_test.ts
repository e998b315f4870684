import assert from "node:assert/strict";
import { metricsCsv } from "../../web/page/metrics_csv.ts";

Deno.test("metricsCsv() writes a line of names, then the rows, and nothing for what was not measured", () => {
  const rest = {
    epoch: 0.5,
    token_accuracy: null,
    eval_token_accuracy: null,
    tokens: 9,
    tokens_per_second: 5,
  };
  const rows = [
    { step: 0, loss: null, eval_loss: 4.25, ...rest, learning_rate: null, grad_norm: null },
    { step: 1, loss: 3.5, eval_loss: null, ...rest, learning_rate: 2e-7, grad_norm: 1 },
  ];
  const [names, ...lines] = metricsCsv(rows).split("\r\n");
  assert.equal(
    names,
    "step,loss,eval_loss,epoch,token_accuracy,eval_token_accuracy,tokens,tokens_per_second,learning_rate,grad_norm",
  );
  assert.deepEqual(lines, ["0,,4.25,0.5,,,9,5,,", "1,3.5,,0.5,,,9,5,2e-7,1", ""]);
  assert.equal(metricsCsv([]), "\r\n");
});
