# ruby net_http.rb FOLDER URL IDLE_S: what tests/senders/drive.py asks of a sender, by Ruby's own client.

require "net/http"

folder, url, idle_s = ARGV
address = URI(url)

Net::HTTP.start(address.host, address.port) do |http|
  http.keep_alive_timeout = 60 # its default, 2 s, would connect anew after idling
  send = lambda do |name, chunked: false|
    request = Net::HTTP::Post.new(address, "Content-Type" => "application/json",
                                           "X-Webhook-Signature" => File.read("#{folder}/#{name}.sig"))
    if chunked
      request["Transfer-Encoding"] = "chunked"
      request.body_stream = File.open("#{folder}/#{name}.json", "rb")
    else
      request.body = File.binread("#{folder}/#{name}.json")
    end
    request["Expect"] = "100-continue" if name == "expect"
    puts "#{name} #{http.request(request).code}"
  end
  http.continue_timeout = 60
  send.call("fresh")
  send.call("reused")
  sleep(idle_s.to_f)
  send.call("idle")
  send.call("chunked", chunked: true)
  send.call("large")
  send.call("expect")
end
