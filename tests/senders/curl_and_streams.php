<?php
// php curl_and_streams.php FOLDER URL IDLE_S: what tests/senders/drive.py asks of a sender, by PHP's two clients:
// curl, which Guzzle and WordPress use, on one connection, and then a stream, which speaks HTTP/1.0.

[, $folder, $url, $idle_s] = $argv;
$curl = curl_init($url);

function headers(string $name): array {
    global $folder;
    return ['Content-Type: application/json', 'X-Webhook-Signature: ' . file_get_contents("$folder/$name.sig")];
}

function send(string $name): void {
    global $curl, $folder;
    curl_setopt_array($curl, [
        CURLOPT_POST => true,
        CURLOPT_POSTFIELDS => file_get_contents("$folder/$name.json"),
        CURLOPT_HTTPHEADER => headers($name),
        CURLOPT_RETURNTRANSFER => true,
    ]);
    curl_exec($curl);
    echo "$name ", curl_getinfo($curl, CURLINFO_RESPONSE_CODE), "\n";
}

function send_chunked(string $name): void {
    global $folder, $url;
    $curl = curl_init($url);
    curl_setopt_array($curl, [
        CURLOPT_UPLOAD => true,
        CURLOPT_CUSTOMREQUEST => 'POST',
        CURLOPT_INFILE => fopen("$folder/$name.json", 'rb'),
        CURLOPT_HTTPHEADER => headers($name),
        CURLOPT_RETURNTRANSFER => true,
    ]);
    curl_exec($curl);
    echo "$name ", curl_getinfo($curl, CURLINFO_RESPONSE_CODE), "\n";
}

function send_by_stream(string $name): void {
    global $folder, $url;
    $options = ['method' => 'POST', 'header' => headers($name), 'content' => file_get_contents("$folder/$name.json")];
    file_get_contents($url, false, stream_context_create(['http' => $options]));
    echo "$name ", explode(' ', $http_response_header[0])[1], "\n";
}

send('fresh');
send('reused');
usleep((int) (1e6 * (float) $idle_s));
send('idle');
send('large');
send_chunked('chunked');
send_by_stream('stream');
