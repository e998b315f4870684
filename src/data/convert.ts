/**
 * Rows of one format as rows of another that say the same.
 *
 * @module
 */
import { asConversation } from "./example.ts";
import { type Example, isTrained, type Message } from "./formats.ts";

/** Formats that rows can be written in. */
export const TARGET_FORMATS = ["messages", "prompt_completion", "instruction", "text"] as const;
/** One of {@link TARGET_FORMATS}. */
export type TargetFormat = (typeof TARGET_FORMATS)[number];

/** A row as its JSON object, or why it cannot be one of the format. */
export type ConvertedRow = { readonly row: Readonly<Record<string, unknown>> } | { readonly problem: string };

/** One question and its answer, nothing else. */
interface Turn {
  readonly question: string;
  readonly answer: string;
}

/** The same example in another format. What that cannot say is a problem, and never left out. */
export function convertExample(example: Example, to: TargetFormat): ConvertedRow {
  if (to === "messages") return asMessages(example);
  if (to === "text") return asText(example);
  if (to === "instruction" && example.kind === "request") {
    const { instruction, input, output } = example;
    return { row: { instruction, input, output } };
  }
  const turn = turnOf(example);
  if (typeof turn === "string") return { problem: turn };
  const { question, answer } = turn;
  return to === "instruction"
    ? { row: { instruction: question, input: "", output: answer } }
    : { row: { prompt: question, completion: answer } };
}

function asMessages(example: Example): ConvertedRow {
  switch (example.kind) {
    case "messages": {
      const { messages, tools, chatTemplateKwargs } = example;
      return {
        row: {
          messages,
          ...(tools ? { tools } : {}),
          ...(chatTemplateKwargs ? { chat_template_kwargs: chatTemplateKwargs } : {}),
        },
      };
    }
    case "request":
      return { row: { messages: asConversation(example).messages } };
    case "pair": {
      const { prompt, completion } = example;
      const messages = [{ role: "user", content: prompt }, { role: "assistant", content: completion }];
      return { row: { messages } };
    }
    case "text":
      return { problem: "is plain text: nobody asks and nobody answers in it" };
  }
}

function asText(example: Example): ConvertedRow {
  if (example.kind === "text") return { row: { text: example.text } };
  if (example.kind === "pair") return { row: { text: example.prompt + example.completion } };
  return {
    problem: "is put into words by a chat template, which belongs to a model: convert it to messages",
  };
}

/** The one turn of an example, or why it is not one. */
function turnOf(example: Example): Turn | string {
  switch (example.kind) {
    case "pair":
      return { question: example.prompt, answer: example.completion };
    case "request": {
      const [question, answer] = asConversation(example).messages as [Message, Message];
      return { question: question.content, answer: answer.content };
    }
    case "text":
      return "is plain text: nobody asks and nobody answers in it";
    case "messages": {
      const { messages, tools, chatTemplateKwargs } = example, [question, answer] = messages;
      if (tools || chatTemplateKwargs) {
        return "has tools or variables of the template, which only messages can say";
      }
      const isTurn = messages.length === 2 && question!.role === "user" && answer!.role === "assistant" &&
        isTrained(answer!) && messages.every((message) => message.name === undefined && !message.tool_calls);
      if (isTurn) return { question: question!.content, answer: answer!.content };
      const roles = messages.map(({ role }) => role).join(", ");
      return `is no single question and answer (${roles}), which only messages can say`;
    }
  }
}
