# Lowrank's command line and server: trains on the GPU that the container is given, or on the CPU through Mesa.
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
# Deno fetches all that these two files name; those of the image name no package of the tests.
COPY deno.json deno.lock /build/
COPY deploy/image_config.ts deploy/licenses.ts /build/deploy/
COPY web /build/web
RUN deno run --no-config --allow-read --allow-write /build/deploy/image_config.ts /build
# The page that the server serves; bundling it fetches a bundler, which a container cannot.
COPY examples /build/examples
COPY kernels /build/kernels
COPY src /build/src
RUN deno run --config /build/deno.json --allow-read --allow-write --allow-run /build/web/build.ts /build/page

FROM debian:trixie-slim
# libx11-6, libxext6 and libegl1 are what NVIDIA's Vulkan driver links, which the container runtime mounts. What is
# removed draws pictures (OpenGL, overlays) or is for virtual machines that lend a GPU. Group 0 may write where the user
# may: some clusters run an image as any user of that group.
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates tini \
    libvulkan1 mesa-vulkan-drivers libx11-6 libxext6 libegl1 \
  && rm -rf /var/lib/apt/lists/* \
    /usr/lib/*/libgallium-*.so /usr/lib/*/libEGL_mesa.so* /usr/lib/*/libgbm.so* /usr/lib/*/gbm \
    /usr/lib/*/libVkLayer_* /usr/share/vulkan/explicit_layer.d /usr/share/vulkan/implicit_layer.d \
    /usr/lib/*/libvulkan_gfxstream.so /usr/lib/*/libvulkan_virtio.so \
    /usr/share/vulkan/icd.d/gfxstream_* /usr/share/vulkan/icd.d/virtio_* \
    /usr/share/glvnd/egl_vendor.d/50_mesa.json \
  && useradd --create-home --uid 10001 --gid 0 lowrank \
  && install -d -o lowrank -g 0 -m 775 /work /var/cache/lowrank
COPY --from=deno /usr/local/bin/deno /usr/local/bin/deno
COPY --from=deno /build/deno.json /build/deno.lock /opt/lowrank/
COPY --from=deno /build/page /opt/lowrank/page
COPY deploy/vulkan/nvidia_icd.json /usr/share/vulkan/icd.d/nvidia_icd.json
COPY lowrank LICENSE README.md THIRD_PARTY_NOTICES.md /opt/lowrank/
COPY examples /opt/lowrank/examples
COPY kernels /opt/lowrank/kernels
COPY server /opt/lowrank/server
COPY src /opt/lowrank/src
# The packages of the command are fetched here; a container needs no registry.
ENV DENO_DIR=/opt/deno-cache DENO_NO_UPDATE_CHECK=1
RUN cd /opt/lowrank \
  && deno install --frozen --entrypoint src/main.ts src/cli/job_worker.ts \
    server/main.ts server/data_check_worker.ts server/job_process.ts server/generation_process.ts \
  && ./lowrank version \
  && chmod -R a+rX /opt/deno-cache /opt/lowrank \
  && ln -s /opt/lowrank/lowrank /usr/local/bin/lowrank

# Vulkan counts as graphics to NVIDIA's runtime, which mounts its driver only where that is asked for.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility
ENV XDG_CACHE_HOME=/var/cache/lowrank XDG_RUNTIME_DIR=/tmp NO_COLOR=1
USER 10001
WORKDIR /work
HEALTHCHECK --interval=60s --timeout=20s CMD ["lowrank", "version"]
# The kernel drops a signal for process 1 that it does not wait for; tini hands SIGTERM on at any moment.
ENTRYPOINT ["tini", "--", "lowrank"]
CMD ["help"]
