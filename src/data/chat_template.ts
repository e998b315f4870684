import { Template } from "@huggingface/jinja";
import { ModelFormatError } from "../errors.ts";
import { renderTemplate, TEMPLATE_DAY } from "./chat_template_interpreter.ts";
import type { Conversation, Message } from "./formats.ts";
import { markGenerations, takeGenerations, type TextSpan } from "./generation_marks.ts";

/** The longest Jinja source that is parsed, in UTF-16 units. Those in use stay below 20 000; parsing takes its square. */
export const MAX_TEMPLATE_LENGTH = 2 ** 16;

/** A conversation that a chat template refuses, such as one whose roles do not alternate. */
export class ChatTemplateError extends Error {
  override readonly name = "ChatTemplateError";
}

/** A model's chat template: turns a conversation into the text the model was trained on. */
export class ChatTemplate {
  /** Jinja source, for saving it beside the adapter. */
  readonly source: string;
  readonly #template: Template;
  readonly #variables: Readonly<Record<string, unknown>>;

  /**
   * Parses the source; nothing is rendered yet.
   *
   * @param source Jinja.
   * @param tokens Special tokens that the template may write.
   * @throws {ModelFormatError} If the source is too long or no Jinja.
   */
  constructor(
    source: string,
    tokens: { readonly bosToken: string | null; readonly eosToken: string | null },
  ) {
    if (source.length > MAX_TEMPLATE_LENGTH) {
      throw new ModelFormatError(
        `Cannot use the chat template as it has ${source.length} characters, more than ${MAX_TEMPLATE_LENGTH}: ` +
          `give another one`,
      );
    }
    try {
      this.#template = new Template(markGenerations(source));
    } catch (error) {
      throw new ModelFormatError(
        `Cannot parse the chat template as Jinja: ${
          (error as Error).message
        }; correct it or give another one`,
        { cause: error },
      );
    }
    this.source = source;
    this.#variables = {
      bos_token: tokens.bosToken ?? "",
      eos_token: tokens.eosToken ?? "",
      tools: null,
      documents: null,
      date_string: TEMPLATE_DAY,
    };
  }

  /**
   * The text of a conversation.
   *
   * @param addGenerationPrompt Whether to end with the header of the assistant turn to come.
   * @param more What the template may want to know beside the messages.
   * @throws {ChatTemplateError} If the template refuses the conversation, works too long or makes too large a text.
   */
  render(
    messages: readonly Message[],
    addGenerationPrompt: boolean,
    more: Omit<Conversation, "messages"> = {},
  ): string {
    return this.#render(messages, addGenerationPrompt, more).text;
  }

  /**
   * The text of a conversation with what the template's `generation` tags enclose; null for a template without them.
   *
   * @throws {ChatTemplateError} As `render()`.
   */
  generations({ messages, ...more }: Conversation): { text: string; spans: TextSpan[] } | null {
    const { text, spans } = this.#render(messages, false, more);
    return spans && { text, spans };
  }

  #render(
    messages: readonly Message[],
    addGenerationPrompt: boolean,
    { tools, chatTemplateKwargs }: Omit<Conversation, "messages">,
  ): { text: string; spans: TextSpan[] | null } {
    try {
      return takeGenerations(renderTemplate(this.#template.parsed, {
        ...this.#variables,
        ...chatTemplateKwargs,
        ...(tools ? { tools } : {}),
        messages: messages.map(({ weight: _, ...message }) => message),
        add_generation_prompt: addGenerationPrompt,
      }));
    } catch (error) {
      const { message } = error as Error;
      const problem = error instanceof RangeError
        ? `the chat template cannot render it as ${message}: split the row, or give another template`
        : `the chat template refuses it: ${message}`;
      throw new ChatTemplateError(problem, { cause: error });
    }
  }
}
