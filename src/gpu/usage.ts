/**
 * WebGPU's usage bits by number. The global namespaces that carry them are missing in some type libraries
 * and, for WebGPU implementations loaded as a package, at run time; the numbers are part of the standard.
 *
 * @module
 */
export const BufferUsage = {
  MAP_READ: 0x1,
  COPY_SRC: 0x4,
  COPY_DST: 0x8,
  UNIFORM: 0x40,
  STORAGE: 0x80,
  QUERY_RESOLVE: 0x200,
} as const;

export const TextureUsage = { COPY_DST: 0x2, TEXTURE_BINDING: 0x4, STORAGE_BINDING: 0x8 } as const;

export const MAP_MODE_READ = 0x1;
export const SHADER_STAGE_COMPUTE = 0x4;
