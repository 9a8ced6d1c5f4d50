#!/usr/bin/env bash
# Apache HttpClient 5.6 sends a POST again by itself if the answer is 429 or 503.
#
# RFC 9110, section 9.2.2: a client should not repeat a request of a method that is not idempotent unless it knows that this
# does no harm. `DefaultHttpRequestRetryStrategy`, which every client has unless told otherwise, looks at the method where the
# connection broke (`handleAsIdempotent`), but not where an answer came: it waits for `Retry-After` or a second, and repeats
# any request. The program sees only the second answer. A gateway that answers 503 for a slow server behind it makes two
# orders of one. OkHttp 5.5.1 does so after a 503 with `Retry-After: 0`, and after a 408, where the RFC allows it (15.5.9).
#
# Output seen 2026-11-30, how many requests reach a server that refuses the first:
#   503, no Retry-After: Apache GET 2, POST 2; OkHttp GET 1, POST 1
#   503, Retry-After 0: Apache GET 2, POST 2; OkHttp GET 2, POST 2
#   503, Retry-After 1: Apache GET 2, POST 2; OkHttp GET 1, POST 1
#   429, no Retry-After: Apache GET 2, POST 2; OkHttp GET 1, POST 1
#   500, no Retry-After: Apache GET 1, POST 1; OkHttp GET 1, POST 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>show</groupId><artifactId>show</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.httpcomponents.client5</groupId><artifactId>httpclient5</artifactId><version>5.6</version>
    </dependency>
    <dependency><groupId>com.squareup.okhttp3</groupId><artifactId>okhttp-jvm</artifactId><version>5.5.1</version></dependency>
  </dependencies>
</project>
XML
mvn -B -q -Dmaven.repo.local="$folder/maven" dependency:copy-dependencies -DoutputDirectory=jars >/dev/null
cat >Show.java <<'JAVA'
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.concurrent.atomic.AtomicInteger;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import org.apache.hc.client5.http.impl.classic.HttpClients;
import org.apache.hc.core5.http.io.support.ClassicRequestBuilder;

public class Show {
  interface Client {
    void send(String method, String url) throws Exception;
  }

  public static void main(String[] arguments) throws Exception {
    for (var refusal : new String[][] {{"503", null}, {"503", "0"}, {"503", "1"}, {"429", null}, {"500", null}}) {
      System.out.printf("%s, %s: Apache GET %d, POST %d; OkHttp GET %d, POST %d%n", refusal[0],
          refusal[1] == null ? "no Retry-After" : "Retry-After " + refusal[1],
          requests(Show::apache, "GET", refusal), requests(Show::apache, "POST", refusal),
          requests(Show::okHttp, "GET", refusal), requests(Show::okHttp, "POST", refusal));
    }
    System.exit(0);
  }

  static int requests(Client client, String method, String[] refusal) throws Exception {
    var seen = new AtomicInteger();
    var server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.createContext("/", exchange -> {
      exchange.getRequestBody().readAllBytes();
      var first = seen.incrementAndGet() == 1;
      if (first && refusal[1] != null) exchange.getResponseHeaders().set("Retry-After", refusal[1]);
      exchange.sendResponseHeaders(first ? Integer.parseInt(refusal[0]) : 200, -1);
      exchange.close();
    });
    server.start();
    try {
      client.send(method, "http://127.0.0.1:" + server.getAddress().getPort() + "/orders");
    } finally {
      server.stop(0);
    }
    return seen.get();
  }

  static void apache(String method, String url) throws Exception {
    var request = ClassicRequestBuilder.create(method).setUri(url);
    if (method.equals("POST")) request.setEntity("an order");
    try (var client = HttpClients.createDefault()) {
      client.execute(request.build(), answer -> answer.getCode());
    }
  }

  static void okHttp(String method, String url) throws Exception {
    var body = method.equals("POST") ? RequestBody.create("an order", null) : null;
    new OkHttpClient().newCall(new Request.Builder().url(url).method(method, body).build()).execute().close();
  }
}
JAVA
java -cp 'jars/*' Show.java 2>/dev/null | tee seen
diff seen - <<'SEEN'
503, no Retry-After: Apache GET 2, POST 2; OkHttp GET 1, POST 1
503, Retry-After 0: Apache GET 2, POST 2; OkHttp GET 2, POST 2
503, Retry-After 1: Apache GET 2, POST 2; OkHttp GET 1, POST 1
429, no Retry-After: Apache GET 2, POST 2; OkHttp GET 1, POST 1
500, no Retry-After: Apache GET 1, POST 1; OkHttp GET 1, POST 1
SEEN
