# A leaderboard in a container: docker build -t lifelong . && docker run --rm lifelong
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /lifelong
COPY . .
RUN make install

CMD ["make", "demo"]
