/**
 * Rotary position embedding in a graph. The angles' cosines and sines come from two short tables instead of one as long
 * as the context, exact wherever the runtime's own cosine is not. With position t = w·h + l, l in 0..w-1:
 *
 *     cos(t·f) = cos(w·h·f)·cos(l·f) − sin(w·h·f)·sin(l·f)
 *     sin(t·f) = sin(w·h·f)·cos(l·f) + cos(w·h·f)·sin(l·f)
 *
 * @module
 */
import { angleScale, inverseFrequencies, type Rope } from "../models/rope.ts";
import type { OnnxGraph } from "./onnx_graph.ts";

/** w, positions of the fine table. */
const FINE_POSITIONS = 256;

/** Cosines and sines of a call, [B, 1, T, rotaryDim / 2] each. */
export interface OnnxAngles {
  readonly cos: string;
  readonly sin: string;
}

/** What angles are looked up by. */
export interface OnnxPositions {
  /** int64 [B, T]: where each token stands in its row. */
  readonly positions: string;
  /** int64 [1]: tokens of a row so far, those of the cache included. */
  readonly totalLength: string;
  /** Positions that the model knows. */
  readonly maxPositionEmbeddings: number;
}

/** Adds the angles of a call. Longrope takes its long factors once a row is longer than those of its first training. */
export function onnxAngles(graph: OnnxGraph, rope: Rope, name: string, at: OnnxPositions): OnnxAngles {
  const { scaling } = rope;
  if (scaling.type !== "longrope") return unsqueezed(graph, looked(graph, rope, Infinity, name, at));
  const limit = scaling.originalMaxPositionEmbeddings;
  const isLong = graph.op("Greater", [at.totalLength, graph.ints([limit])]);
  const short = looked(graph, rope, limit, `${name}.short`, at);
  const long = looked(graph, rope, limit + 1, `${name}.long`, at);
  return unsqueezed(graph, {
    cos: graph.op("Where", [isLong, long.cos, short.cos]),
    sin: graph.op("Where", [isLong, long.sin, short.sin]),
  });
}

/** Turns pairs (i, i + rotaryDim / 2) of the heads of x [B, heads, T, D]; elements beyond rotaryDim stay. */
export function onnxRotate(
  graph: OnnxGraph,
  x: string,
  { cos, sin }: OnnxAngles,
  { rotaryDim }: Rope,
  headDim: number,
): string {
  const pairs = rotaryDim / 2, rest = headDim - rotaryDim;
  const [a, b, ...straight] = graph.split(x, [pairs, pairs, ...(rest > 0 ? [rest] : [])]) as [string, string];
  const turnedA = graph.op("Sub", [graph.op("Mul", [a, cos]), graph.op("Mul", [b, sin])]);
  const turnedB = graph.op("Add", [graph.op("Mul", [b, cos]), graph.op("Mul", [a, sin])]);
  return graph.op("Concat", [turnedA, turnedB, ...straight], { axis: -1 });
}

/** cos and sin [B, T, pairs] for rows of so many tokens. */
function looked(
  graph: OnnxGraph,
  rope: Rope,
  length: number,
  name: string,
  { positions, maxPositionEmbeddings }: OnnxPositions,
): OnnxAngles {
  const frequencies = inverseFrequencies(rope, length);
  const factor = angleScale(rope);
  // one position more: some runtimes count those of Gemma 3 from 1
  const coarseRows = Math.floor(maxPositionEmbeddings / FINE_POSITIONS) + 1;
  const step = graph.int(FINE_POSITIONS);
  const coarse = gathered(graph, `${name}.coarse`, graph.op("Div", [positions, step]), {
    values: (
      f,
      row,
    ) => [factor * Math.cos(row * FINE_POSITIONS * f), factor * Math.sin(row * FINE_POSITIONS * f)],
    rows: coarseRows,
    frequencies,
  });
  const fine = gathered(graph, `${name}.fine`, graph.op("Mod", [positions, step]), {
    values: (f, row) => [Math.cos(row * f), Math.sin(row * f)],
    rows: FINE_POSITIONS,
    frequencies,
  });
  const product = (a: string, b: string) => graph.op("Mul", [a, b]);
  return {
    cos: graph.op("Sub", [product(coarse.cos, fine.cos), product(coarse.sin, fine.sin)]),
    sin: graph.op("Add", [product(coarse.sin, fine.cos), product(coarse.cos, fine.sin)]),
  };
}

/** Rows of a table of cosines and one of sines. */
function gathered(
  graph: OnnxGraph,
  name: string,
  index: string,
  { values, rows, frequencies }: {
    readonly values: (frequency: number, row: number) => [cos: number, sin: number];
    readonly rows: number;
    readonly frequencies: Float64Array;
  },
): OnnxAngles {
  const pairs = frequencies.length, shape = [rows, pairs];
  const tables = [0, 1].map((which) =>
    Float32Array.from({ length: rows * pairs }, (_, i) => {
      return values(frequencies[i % pairs]!, Math.floor(i / pairs))[which]!;
    })
  ) as [Float32Array, Float32Array];
  return {
    cos: graph.op("Gather", [graph.table(`${name}.cos`, tables[0], shape), index]),
    sin: graph.op("Gather", [graph.table(`${name}.sin`, tables[1], shape), index]),
  };
}

function unsqueezed(graph: OnnxGraph, { cos, sin }: OnnxAngles): OnnxAngles {
  return { cos: graph.unsqueeze(cos, 1), sin: graph.unsqueeze(sin, 1) };
}
