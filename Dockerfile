# `seglock serve` of an ONNX file on a processor: no torch, no MLflow, no key.
#
#   docker build -t seglock-serve .
#   docker run --read-only --tmpfs /tmp -p 127.0.0.1:8700:8700 \
#     -v ./data/packages/shf-4/artifacts/model.onnx:/model.onnx:ro seglock-serve

FROM python:3.12-slim AS build
WORKDIR /build
# What serving an ONNX file imports, with what that needs in turn: a test compares it with the lock.
ENV NEEDED="annotated-doc annotated-types anyio click fastapi flatbuffers h11 idna markdown-it-py \
 mdurl numpy onnxruntime opentelemetry-api packaging pillow prometheus-client protobuf pydantic \
 pydantic-core pygments rich shellingham starlette typer typing-extensions typing-inspection uvicorn"
COPY requirements.lock ./
RUN awk -v needed=" $NEEDED " \
      '/^[a-z]/ { split($1, name, "=="); keep = index(needed, " " name[1] " ") } keep' \
      requirements.lock > needed.txt \
 && python -m venv --without-pip /server \
 && pip --python /server/bin/python install --no-cache-dir --require-hashes -r needed.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip --python /server/bin/python install --no-cache-dir --no-deps . \
 && cd /server/lib/python3.12/site-packages \
 && rm -rf numpy/*/tests numpy/tests onnxruntime/transformers onnxruntime/quantization onnxruntime/tools

FROM python:3.12-slim
COPY --from=build /server /server
USER nobody
ENV HOME=/tmp
EXPOSE 8700
HEALTHCHECK CMD ["/server/bin/python", "-c", \
  "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8700/health', timeout=3)"]
ENTRYPOINT ["/server/bin/seglock", "serve", "--host", "0.0.0.0"]
CMD ["--model", "/model.onnx"]
