# Lowrank's command line: trains on the GPU that the container is given, or on the CPU through Mesa.
#
#   docker build -t lowrank .
#   docker run --rm -v "$PWD:/work" lowrank train                                   # the CPU
#   docker run --rm --gpus all -e LOWRANK_REQUIRE_GPU=true -v "$PWD:/work" lowrank train   # NVIDIA
#   docker run --rm --device /dev/dri -v "$PWD:/work" lowrank train                 # AMD, Intel
#
# LOWRANK_REQUIRE_GPU=true fails at once where no GPU is found, so that a job never runs on the CPU by mistake.

FROM debian:trixie-slim AS deno
ARG DENO_VERSION=2.9.6
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates npm \
  && npm install --prefix /opt/deno --no-audit --no-fund "deno@$DENO_VERSION" \
  && install -m 755 /opt/deno/node_modules/@deno/*/deno /usr/local/bin/deno

FROM debian:trixie-slim
# libx11-6, libxext6 and libegl1 are what NVIDIA's Vulkan driver links, which the container runtime mounts.
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates libvulkan1 mesa-vulkan-drivers libx11-6 libxext6 libegl1 \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --create-home --uid 10001 lowrank \
  && install -d -o lowrank /work /var/cache/lowrank
COPY --from=deno /usr/local/bin/deno /usr/local/bin/deno
COPY deploy/vulkan/nvidia_icd.json /usr/share/vulkan/icd.d/nvidia_icd.json
COPY lowrank deno.json deno.lock LICENSE README.md THIRD_PARTY_NOTICES.md /opt/lowrank/
COPY examples /opt/lowrank/examples
COPY kernels /opt/lowrank/kernels
COPY src /opt/lowrank/src
# The packages of the command are fetched here; a container needs no registry.
ENV DENO_DIR=/opt/deno-cache DENO_NO_UPDATE_CHECK=1
RUN cd /opt/lowrank \
  && deno install --frozen --entrypoint src/main.ts src/cli/job_worker.ts \
  && chmod -R a+rX /opt/deno-cache /opt/lowrank \
  && ln -s /opt/lowrank/lowrank /usr/local/bin/lowrank

# Vulkan counts as graphics to NVIDIA's runtime, which mounts its driver only where that is asked for.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility
ENV XDG_CACHE_HOME=/var/cache/lowrank XDG_RUNTIME_DIR=/tmp NO_COLOR=1
USER lowrank
WORKDIR /work
HEALTHCHECK --interval=60s --timeout=20s CMD ["lowrank", "version"]
ENTRYPOINT ["lowrank"]
CMD ["help"]
