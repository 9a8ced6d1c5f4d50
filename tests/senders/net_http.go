// go run net_http.go FOLDER URL IDLE_S: what tests/senders/drive.py asks of a sender, by Go's own client.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

var folder, url = os.Args[1], os.Args[2]

func read(file string) []byte {
	content, err := os.ReadFile(folder + "/" + file)
	fail(err)
	return content
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func send(name string, body io.Reader) {
	request, err := http.NewRequest("POST", url, body)
	fail(err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Webhook-Signature", string(read(name+".sig")))
	if name == "expect" {
		request.Header.Set("Expect", "100-continue")
	}
	response, err := http.DefaultClient.Do(request)
	fail(err)
	_, err = io.Copy(io.Discard, response.Body)
	fail(err)
	response.Body.Close()
	fmt.Println(name, response.StatusCode)
}

func whole(name string) {
	send(name, bytes.NewReader(read(name+".json")))
}

func main() {
	idle, err := strconv.ParseFloat(os.Args[3], 64)
	fail(err)
	whole("fresh")
	whole("reused")
	time.Sleep(time.Duration(idle * float64(time.Second)))
	whole("idle")
	// Of a reader that it does not know it cannot tell the length.
	send("chunked", io.MultiReader(bytes.NewReader(read("chunked.json"))))
	whole("large")
	whole("expect")
}
