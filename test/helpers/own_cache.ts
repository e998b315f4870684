/**
 * @module
 */

/**
 * Environment of a command that keeps its files in a cache of its own: what it downloads and measures lies there, while
 * Deno's compiled modules and Mesa's compiled shaders are still found where this process has them.
 */
export function withOwnCache(cache: string): Record<string, string> {
  const { XDG_CACHE_HOME, HOME, DENO_DIR, MESA_SHADER_CACHE_DIR, PATH } = Deno.env.toObject();
  const shared = XDG_CACHE_HOME || `${HOME}/.cache`, deno = Deno.execPath();
  return {
    XDG_CACHE_HOME: cache,
    DENO_DIR: DENO_DIR || `${shared}/deno`,
    MESA_SHADER_CACHE_DIR: MESA_SHADER_CACHE_DIR || shared,
    PATH: `${deno.slice(0, deno.lastIndexOf("/"))}:${PATH}`, // the launcher looks for Deno there and in the cache
  };
}
