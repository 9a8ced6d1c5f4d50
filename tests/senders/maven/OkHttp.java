// java OkHttp.java FOLDER URL IDLE_S: what tests/senders/drive.py asks of a sender, by OkHttp.

import java.nio.file.Files;
import java.nio.file.Path;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;
import okio.BufferedSink;

class OkHttp {
    static final MediaType JSON = MediaType.get("application/json");
    static final OkHttpClient client = new OkHttpClient();
    static Path folder;
    static String url;

    public static void main(String[] args) throws Exception {
        folder = Path.of(args[0]);
        url = args[1];
        send("fresh", whole("fresh"));
        send("reused", whole("reused"));
        Thread.sleep((long) (1000 * Double.parseDouble(args[2])));
        send("idle", whole("idle"));
        byte[] chunked = read("chunked");
        send("chunked", new RequestBody() {
            @Override
            public MediaType contentType() {
                return JSON;
            }

            @Override
            public void writeTo(BufferedSink sink) throws java.io.IOException {
                sink.write(chunked);
            }
        });
        send("large", whole("large"));
        System.exit(0); // it keeps a thread for its idle connections
    }

    static byte[] read(String name) throws Exception {
        return Files.readAllBytes(folder.resolve(name + ".json"));
    }

    static RequestBody whole(String name) throws Exception {
        return RequestBody.create(read(name), JSON);
    }

    static void send(String name, RequestBody body) throws Exception {
        String signature = Files.readString(folder.resolve(name + ".sig"));
        Request request = new Request.Builder().url(url).header("X-Webhook-Signature", signature).post(body).build();
        try (Response response = client.newCall(request).execute()) {
            response.body().bytes();
            System.out.println(name + " " + response.code());
        }
    }
}
