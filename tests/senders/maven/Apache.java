// java Apache.java FOLDER URL IDLE_S: what tests/senders/drive.py asks of a sender, by Apache HttpClient.

import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.hc.client5.http.classic.methods.HttpPost;
import org.apache.hc.client5.http.config.RequestConfig;
import org.apache.hc.client5.http.impl.classic.CloseableHttpClient;
import org.apache.hc.client5.http.impl.classic.HttpClients;
import org.apache.hc.core5.http.ContentType;
import org.apache.hc.core5.http.HttpEntity;
import org.apache.hc.core5.http.io.entity.ByteArrayEntity;
import org.apache.hc.core5.http.io.entity.EntityUtils;
import org.apache.hc.core5.http.io.entity.InputStreamEntity;

class Apache {
    // It offers TLS by Upgrade on every plain request.
    static final CloseableHttpClient client = HttpClients.createDefault();
    static Path folder;
    static String url;

    public static void main(String[] args) throws Exception {
        folder = Path.of(args[0]);
        url = args[1];
        send("fresh", whole("fresh"));
        send("reused", whole("reused"));
        Thread.sleep((long) (1000 * Double.parseDouble(args[2])));
        send("idle", whole("idle"));
        InputStream chunked = Files.newInputStream(folder.resolve("chunked.json"));
        send("chunked", new InputStreamEntity(chunked, ContentType.APPLICATION_JSON));
        send("large", whole("large"));
        send("expect", whole("expect"));
    }

    static HttpEntity whole(String name) throws Exception {
        byte[] body = Files.readAllBytes(folder.resolve(name + ".json"));
        return new ByteArrayEntity(body, ContentType.APPLICATION_JSON);
    }

    static void send(String name, HttpEntity body) throws Exception {
        HttpPost request = new HttpPost(url);
        request.setHeader("X-Webhook-Signature", Files.readString(folder.resolve(name + ".sig")));
        request.setConfig(RequestConfig.custom().setExpectContinueEnabled(name.equals("expect")).build());
        request.setEntity(body);
        int status = client.execute(request, response -> {
            EntityUtils.consume(response.getEntity());
            return response.getCode();
        });
        System.out.println(name + " " + status);
    }
}
