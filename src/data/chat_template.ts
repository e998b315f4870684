import { Template } from "@huggingface/jinja";
import { ModelFormatError } from "../errors.ts";
import type { Message } from "./formats.ts";

/** The longest Jinja source that is parsed, in UTF-16 units. Those in use stay below 20 000. */
export const MAX_TEMPLATE_LENGTH = 2 ** 18;
/** The longest conversation that a template may write, in UTF-16 units. */
export const MAX_RENDERED_LENGTH = 2 ** 26;

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
      this.#template = new Template(source);
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
      // Llama 3's own default; it would write today's date otherwise, and a resumed run would see other tokens.
      date_string: "26 Jul 2024",
    };
  }

  /**
   * The text of a conversation.
   *
   * @param addGenerationPrompt Whether to end with the header of the assistant turn to come.
   * @throws {ChatTemplateError} If the template refuses the conversation, or writes more than
   * MAX_RENDERED_LENGTH.
   */
  render(messages: readonly Message[], addGenerationPrompt: boolean): string {
    let text: string;
    try {
      text = this.#template.render({
        ...this.#variables,
        messages: messages.map(({ role, content, name }) => ({
          role,
          content,
          ...(name === undefined ? {} : { name }),
        })),
        add_generation_prompt: addGenerationPrompt,
      });
    } catch (error) {
      throw new ChatTemplateError(`the chat template refuses it: ${(error as Error).message}`, {
        cause: error,
      });
    }
    if (text.length <= MAX_RENDERED_LENGTH) return text;
    throw new ChatTemplateError(
      `the chat template writes ${text.length} characters, more than ${MAX_RENDERED_LENGTH}: split the row`,
    );
  }
}
