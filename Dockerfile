# One image recipe, three targets: bot, worker (CPU), worker-gpu (CUDA 12 + cuDNN 9).
FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY shared shared
COPY bot bot
COPY worker worker
RUN npm run build

FROM node:22-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# onnxruntime-node ships every operating system: keep this one's (minus 240 MB).
RUN npm ci --omit=dev \
 && cd node_modules/onnxruntime-node/bin/napi-v6 \
 && rm -rf darwin win32 \
 && find linux -mindepth 1 -maxdepth 1 ! -name "$(node -p process.arch)" -exec rm -rf {} +

# Bot and workers share the volume at /data, so all of them are user 1000, whatever its name is.
FROM node:22-bookworm-slim AS base
ENV NODE_ENV=production
WORKDIR /app
COPY package.json ./
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/dist dist
RUN mkdir -p /data && chown 1000:1000 /data
USER 1000:1000

FROM base AS bot
CMD ["node", "--enable-source-maps", "dist/bot/main.js"]

FROM base AS worker
COPY worker/cli/bin.mjs worker/cli/bin.mjs
COPY models models
CMD ["node", "--enable-source-maps", "dist/worker/main.js"]

FROM nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04 AS worker-gpu
ENV NODE_ENV=production PROVIDERS=cuda,cpu ONNXRUNTIME_NODE_INSTALL=cuda12
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /app
COPY package.json ./
COPY --from=packages /app/node_modules node_modules
# The opt-in: this script downloads ONNX Runtime's CUDA provider from NuGet.
RUN node node_modules/onnxruntime-node/script/install.js
COPY --from=build /app/dist dist
COPY worker/cli/bin.mjs worker/cli/bin.mjs
COPY models models
RUN mkdir -p /data && chown 1000:1000 /data
USER 1000:1000
CMD ["node", "--enable-source-maps", "dist/worker/main.js"]
