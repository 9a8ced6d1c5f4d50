//! `post FOLDER URL IDLE_S`: what tests/senders/drive.py asks of a sender, by reqwest.

use reqwest::blocking::{Body, Client};
use std::error::Error;
use std::{env, fs, thread, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().collect();
    let (folder, url, idle_s) = (&words[1], &words[2], words[3].parse()?);
    let client = Client::new();
    let send = |name: &str, body: Body| -> Result<(), Box<dyn Error>> {
        let answer = client
            .post(url)
            .header("Content-Type", "application/json")
            .header("X-Webhook-Signature", fs::read_to_string(format!("{folder}/{name}.sig"))?)
            .body(body)
            .send()?;
        let status = answer.status().as_u16();
        answer.bytes()?;
        println!("{name} {status}");
        Ok(())
    };
    let whole = |name: &str| send(name, fs::read(format!("{folder}/{name}.json"))?.into());
    whole("fresh")?;
    whole("reused")?;
    thread::sleep(Duration::from_secs_f64(idle_s));
    whole("idle")?;
    send("chunked", Body::new(fs::File::open(format!("{folder}/chunked.json"))?))?;
    whole("large")
}
