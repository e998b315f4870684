/**
 * A loss curve as SVG, with its story in words for those who do not see it.
 *
 * @module
 */

/** A loss after some steps, nats per token. */
export interface LossPoint {
  readonly step: number;
  readonly loss: number;
}

const WIDTH = 640;
const HEIGHT = 240;
/** Room for the axes' numbers. */
const MARGIN = { left: 44, right: 12, top: 10, bottom: 26 };
const SVG = "http://www.w3.org/2000/svg";

/** Round numbers that span [from, to], about `count` of them, ascending. */
export function roundTicks(from: number, to: number, count: number): number[] {
  const span = to - from || Math.abs(to) || 1;
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = power * [1, 2, 5, 10].find((factor) => power * factor >= span / count)!;
  const first = Math.floor(from / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(to / step - 1e-9));
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toFixed(digits)));
}

/** The curve in one sentence, such as `Training loss 3.21 → 1.10 over 60 steps; evaluation loss 3.30 → 1.25.` */
export function lossSummary(steps: readonly LossPoint[], evaluations: readonly LossPoint[]): string {
  const course = (points: readonly LossPoint[]) =>
    [points.at(0)!, points.at(-1)!].map(({ loss }) => shortLoss(loss)).join(" → ");
  const parts: string[] = [];
  if (steps.length > 0) {
    const last = steps.at(-1)!.step;
    parts.push(`training loss ${course(steps)} over ${last} step${last === 1 ? "" : "s"}`);
  }
  if (evaluations.length > 1) parts.push(`evaluation loss ${course(evaluations)}`);
  else if (evaluations.length === 1) parts.push(`evaluation loss ${shortLoss(evaluations[0]!.loss)}`);
  const text = parts.join("; ");
  return text === "" ? "No loss yet." : `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

/** Two decimals, or two digits of a loss that has none there. */
function shortLoss(loss: number): string {
  return loss < 0.1 ? loss.toPrecision(2) : loss.toFixed(2);
}

/** Draws training losses as a line and evaluations as diamonds. */
export class LossChart {
  readonly #svg: SVGSVGElement;
  #steps: LossPoint[] = [];
  #evaluations: LossPoint[] = [];
  /** Null before a run has told. */
  #totalSteps: number | null = null;
  #drawing = false;

  constructor(svg: SVGSVGElement) {
    this.#svg = svg;
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.#draw();
  }

  get summary(): string {
    return lossSummary(this.#steps, this.#evaluations);
  }

  /** Sets the length of the axis. */
  set totalSteps(steps: number) {
    this.#totalSteps = steps;
    this.#drawSoon();
  }

  /** Forgets what came after a step: the run goes on from there. */
  cutAfter(step: number): void {
    this.#steps = this.#steps.filter((point) => point.step <= step);
    this.#evaluations = this.#evaluations.filter((point) => point.step <= step);
    this.#drawSoon();
  }

  clear(): void {
    this.cutAfter(-1);
  }

  addStep(point: LossPoint): void {
    this.#steps.push(point);
    this.#drawSoon();
  }

  addEvaluation(point: LossPoint): void {
    this.#evaluations.push(point);
    this.#drawSoon();
  }

  /** Once a frame, however many points arrive. */
  #drawSoon(): void {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#draw();
    });
  }

  #draw(): void {
    const losses = [...this.#steps, ...this.#evaluations].map(({ loss }) => loss);
    const lowest = losses.reduce((least, loss) => Math.min(least, loss), Infinity);
    const highest = losses.reduce((most, loss) => Math.max(most, loss), -Infinity);
    const yTicks = losses.length > 0 ? roundTicks(lowest, highest, 4) : [0, 1, 2, 3, 4];
    const [bottom, top] = [yTicks.at(0)!, yTicks.at(-1)!];
    const totalSteps = this.#totalSteps ?? 0;
    const x = (step: number) => MARGIN.left + step / (totalSteps || 1) * (WIDTH - MARGIN.left - MARGIN.right);
    const y = (loss: number) =>
      HEIGHT - MARGIN.bottom - (loss - bottom) / (top - bottom) * (HEIGHT - MARGIN.top - MARGIN.bottom);
    const at = ({ step, loss }: LossPoint) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`;
    this.#svg.replaceChildren(
      ...yTicks.flatMap((loss) => [
        shape("line", { class: "grid", x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y(loss), y2: y(loss) }),
        label(String(loss), MARGIN.left - 8, y(loss) + 4, "end"),
      ]),
      ...stepTicks(totalSteps).map((step) =>
        label(String(step), x(step), HEIGHT - 8, step > 0 && step === totalSteps ? "end" : "middle")
      ),
      shape("polyline", { class: "training", points: this.#steps.map(at).join(" ") }),
      ...this.#evaluations.map((point) =>
        shape("path", { class: "evaluation", d: `M${at(point)} m0,-5 l5,5 l-5,5 l-5,-5 z` })
      ),
    );
  }
}

/** Ends of the axis and round numbers that leave room for them. */
function stepTicks(totalSteps: number): number[] {
  if (totalSteps === 0) return [0];
  const between = roundTicks(0, totalSteps, 5).filter((step) =>
    step > 0 && step < 0.92 * totalSteps && Number.isInteger(step)
  );
  return [0, ...between, totalSteps];
}

function shape(name: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

function label(text: string, x: number, y: number, anchor: "middle" | "end"): SVGElement {
  const element = shape("text", { x, y, "text-anchor": anchor });
  element.textContent = text;
  return element;
}
