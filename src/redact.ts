/**
 * Keeps secrets out of what is written and shown: logs, errors, records, reports. Known are the values of the
 * environment's variables that hold secrets, and the forms in which URIs and services carry them.
 *
 * @module
 */

/** What stands in place of a secret. */
export const REDACTED = "***";

/** Shorter values of variables are words like any other: blotting them out would spoil texts and keep nothing secret. */
const SHORTEST_SECRET = 12;

/** Names of variables that hold a secret, those of the services first. */
const SECRET_VARIABLES = [
  "HF_TOKEN",
  "HUGGING_FACE_HUB_TOKEN",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AZURE_STORAGE_CONNECTION_STRING",
  "AZURE_STORAGE_KEY",
  "AZURE_STORAGE_SAS_TOKEN",
  "OTEL_EXPORTER_OTLP_HEADERS",
] as const;
const SECRET_NAME =
  /(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|SECRET_KEY|PRIVATE_KEY|CONNECTION_STRING|OTLP_\w*HEADERS)$/i;

/** Keys whose values grant access, in the query of a URI. */
const SECRET_KEYS =
  "sig|signature|x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|" +
  "awsaccesskeyid|googleaccessid|upload_id|(?:[\\w-]*[_-])?(?:token|secret|password|passwd|pwd|key)|apikey";
const USERINFO = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"'<>\\]*@/gi;
const SECRET_QUERY = new RegExp(`([?&](?:${SECRET_KEYS})=)[^&\\s"'<>#;)\\\\]+`, "gi");

/** Forms that show a secret wherever it stands, each with what is to stand there. */
const FORMS: readonly (readonly [RegExp, string])[] = [
  [USERINFO, `$1${REDACTED}@`],
  [SECRET_QUERY, `$1${REDACTED}`],
  [/\b((?:AccountKey|SharedAccessKey|SharedAccessSignature|Password|Pwd)=)[^;\s"'\\]+/gi, `$1${REDACTED}`],
  [/\b(Bearer\s+)[\w.~+/-]{16,}=*/g, `$1${REDACTED}`],
  [/\bhf_[A-Za-z0-9]{16,}/g, REDACTED],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, REDACTED],
  [/\bya29\.[\w.-]{10,}/g, REDACTED],
  [/\bAIza[\w-]{30,}/g, REDACTED],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[^"]*?(?:-----END [A-Z ]*PRIVATE KEY-----|(?="|$))/g, REDACTED],
];

/** A text without the secrets in it. */
export function redacted(text: string): string {
  return redactedBy(text, knownSecrets());
}

/** Plain data, with every text in it {@link redacted}. */
export function redactedData<T>(data: T): T {
  const secrets = knownSecrets();
  const copy = (value: unknown): unknown => {
    if (typeof value === "string") return redactedBy(value, secrets);
    if (Array.isArray(value)) return value.map(copy);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, copy(part)]));
  };
  return copy(data) as T;
}

/** What of a path or URI is a secret, in words; null if nothing is. */
export function secretIn(uri: string): string | null {
  if (uri.search(USERINFO) >= 0) return "a user name or password before @";
  const [query] = uri.match(SECRET_QUERY) ?? [];
  if (query !== undefined) return `a secret (${query.slice(0, query.indexOf("=") + 1)})`;
  return redactedBy(uri, []) === uri ? null : "a key or token";
}

function redactedBy(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) clean = clean.replaceAll(secret, REDACTED);
  for (const [form, replacement] of FORMS) clean = clean.replace(form, replacement);
  return clean;
}

/** Secrets of the environment in every spelling, the longest first, since one may be a part of another. */
function knownSecrets(): string[] {
  const found = new Set<string>();
  for (const [name, value] of variables()) {
    for (const secret of secretsOf(name, value)) {
      for (const spelling of spellings(secret)) found.add(spelling);
    }
  }
  return [...found].filter((secret) => secret.length >= SHORTEST_SECRET).sort((a, b) => b.length - a.length);
}

/** The value of a secret variable and the parts of it that are secret by themselves. */
function secretsOf(name: string, value: string): string[] {
  const password = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#:]*:([^\s/?#]+)@/i.exec(value)?.[1];
  const found = password === undefined ? [] : [password];
  if (!(SECRET_VARIABLES as readonly string[]).includes(name) && !SECRET_NAME.test(name)) return found;
  const parts = [
    ...value.matchAll(
      /(?:^|[;&?,])(?:AccountKey|SharedAccessSignature|sig|authorization|[\w-]*(?:key|token))=([^;&,]+)/gi,
    ),
  ];
  return [...found, value, ...parts.map(([, part]) => part!.replace(/^(Bearer|Basic)(\s|%20)+/i, ""))];
}

function spellings(secret: string): string[] {
  const found = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)];
  try {
    found.push(decodeURIComponent(secret));
  } catch {
    // has a % that encodes nothing
  }
  return found;
}

/** The environment, as far as there is one and it may be read. */
function variables(): [string, string][] {
  const env = (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env;
  if (env === undefined) return [];
  try {
    return Object.entries(env).map(([name, value]) => [name, value ?? ""]);
  } catch {
    // Deno without --allow-env for all of them
    return SECRET_VARIABLES.map((name) => [name, readable(env, name)]);
  }
}

function readable(env: Record<string, string | undefined>, name: string): string {
  try {
    return env[name] ?? "";
  } catch {
    return "";
  }
}
