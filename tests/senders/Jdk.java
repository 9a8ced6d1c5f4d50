// java Jdk.java FOLDER URL IDLE_S: what tests/senders/drive.py asks of a sender, by the JDK's own client.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;

class Jdk {
    static Path folder;
    static URI url;
    // Its default version is HTTP/2: without TLS it offers h2c on every first request of a connection.
    static final HttpClient client = HttpClient.newHttpClient();

    public static void main(String[] args) throws Exception {
        folder = Path.of(args[0]);
        url = URI.create(args[1]);
        send("fresh", whole("fresh"), false);
        send("reused", whole("reused"), false);
        Thread.sleep((long) (1000 * Double.parseDouble(args[2])));
        send("idle", whole("idle"), false);
        Path chunked = folder.resolve("chunked.json");
        send("chunked", BodyPublishers.ofInputStream(() -> open(chunked)), false);
        send("large", whole("large"), false);
        send("expect", whole("expect"), true);
    }

    static BodyPublisher whole(String name) throws Exception {
        return BodyPublishers.ofFile(folder.resolve(name + ".json"));
    }

    static java.io.InputStream open(Path path) {
        try {
            return Files.newInputStream(path);
        } catch (java.io.IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }

    static void send(String name, BodyPublisher body, boolean expects) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(url)
            .header("Content-Type", "application/json")
            .header("X-Webhook-Signature", Files.readString(folder.resolve(name + ".sig")))
            .expectContinue(expects)
            .POST(body)
            .build();
        System.out.println(name + " " + client.send(request, BodyHandlers.ofString()).statusCode());
    }
}
