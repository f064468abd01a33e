# The images of docker-compose.yml, one target each. Every version is pinned; Flink's is that of the build.

# Jars run anywhere: built once, on the machine's own architecture, for all of them.
FROM --platform=$BUILDPLATFORM maven:3.9.16-eclipse-temurin-17 AS build
WORKDIR /src
COPY . .
# The checks and tests belong to `mvn verify`. The repository stays between builds and out of the image.
RUN --mount=type=cache,target=/root/.m2 \
    mvn -B -ntp -pl job,http-ingest,outbox-relay -am -Dmaven.test.skip=true -Dspotless.check.skip=true package


# Runs as the image's user flink (9999) and through its entrypoint, which appends FLINK_PROPERTIES to the configuration.
FROM flink:2.3.0-java17 AS flink
USER flink
# The entrypoint rewrites this file: it has to belong to the user.
COPY --chown=flink:flink flink-conf/config.yaml /opt/flink/conf/config.yaml
# A new volume takes the owner of the directory it is mounted on.
RUN mkdir -p /opt/flink/state
COPY --from=build /src/job/target/deduplication-job.jar /opt/flink/usrlib/deduplication-job.jar
COPY streams /opt/dedup/streams
COPY sql /opt/dedup/sql
COPY --chmod=755 deploy/submit /opt/dedup/submit


FROM eclipse-temurin:17.0.20_8-jre-noble AS ingest
WORKDIR /opt/dedup
COPY --from=build /src/http-ingest/target/lib lib
COPY --from=build /src/http-ingest/target/http-ingest.jar http-ingest.jar
COPY streams streams
ENV DEDUP_STREAMS_DIR=/opt/dedup/streams
# Java reads this one by itself: to be replaced where the machine is larger.
ENV JDK_JAVA_OPTIONS="-XX:+UseSerialGC -Xmx512m -XX:+ExitOnOutOfMemoryError"
# A number, so that whoever runs the image can see that it is not root. It writes nothing.
USER 10001:10001
EXPOSE 8001
ENTRYPOINT ["java", "-jar", "http-ingest.jar"]


FROM eclipse-temurin:17.0.20_8-jre-noble AS relay
WORKDIR /opt/dedup
COPY --from=build /src/outbox-relay/target/lib lib
COPY --from=build /src/outbox-relay/target/outbox-relay.jar outbox-relay.jar
COPY streams streams
# A batch is 8 MiB at most, in several forms at once, beside the 32 MiB of Kafka's client.
ENV JDK_JAVA_OPTIONS="-XX:+UseSerialGC -Xmx192m -XX:+ExitOnOutOfMemoryError"
USER 10001:10001
# Wants `--stream FILE`.
ENTRYPOINT ["java", "-jar", "outbox-relay.jar"]
