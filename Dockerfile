# kernbench in a container. docs/docker.md says how to build and run it.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY kernbench kernbench
COPY plugins plugins
COPY studies studies
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim
# Where PyTorch comes from: its CPU build. For a GPU, the address that the PyTorch site names for its CUDA build.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# Its own step, before kernbench: the layer stays when only the source changes.
COPY constraints.txt /tmp/constraints.txt
RUN pip install --no-cache-dir --index-url "${TORCH_INDEX}" "$(grep '^torch==' /tmp/constraints.txt)"
COPY --from=build /wheels /tmp/wheels
RUN pip install --no-cache-dir -c /tmp/constraints.txt \
        "$(echo /tmp/wheels/kernbench-*.whl)[analysis,dashboard,mat73,onnx,pandas,postgres,tuning]" \
    && rm -r /tmp/wheels /tmp/constraints.txt

# Not root. Databases, reports and the cache of lines lie in one volume, which outlives the container.
RUN useradd --uid 1000 --create-home kernbench && install --directory --owner kernbench /runs
ENV KERNBENCH_CACHE=/runs/cache MPLBACKEND=agg MPLCONFIGDIR=/tmp/matplotlib PYTHONUNBUFFERED=1
USER kernbench
WORKDIR /runs
VOLUME /runs
ENTRYPOINT ["kernbench"]
CMD ["--help"]
