//! What ffprobe says of a file.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A packet of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    pub pts_seconds: Option<f64>,
    /// Of its bytes.
    pub hash: String,
}

/// A stream with its packets in the order of their times.
#[derive(Debug, Clone)]
pub struct Stream {
    pub fields: Value,
    pub packets: Vec<Packet>,
}

impl Stream {
    /// A field as ffprobe writes it; "unknown" where it is not there.
    pub fn field(&self, name: &str) -> String {
        match &self.fields[name] {
            Value::String(text) if text != "N/A" => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => "unknown".to_owned(),
        }
    }

    pub fn size_px(&self) -> (u64, u64) {
        (self.fields["width"].as_u64().expect("a width"), self.fields["height"].as_u64().expect("a height"))
    }

    /// The rotation that players apply, in degrees.
    pub fn rotation(&self) -> i64 {
        let data = self.fields["side_data_list"].as_array().into_iter().flatten();
        data.filter_map(|entry| entry["rotation"].as_i64()).next().unwrap_or(0)
    }

    /// Times of the packets in seconds; none where the file has none.
    pub fn times(&self) -> Vec<f64> {
        self.packets.iter().filter_map(|packet| packet.pts_seconds).collect()
    }
}

/// A probed file.
#[derive(Debug, Clone)]
pub struct Probe {
    pub video: Stream,
    pub audio: Option<Stream>,
}

fn ffprobe(path: &Path, arguments: &[&str]) -> Value {
    let output = Command::new("ffprobe").args(["-v", "error", "-of", "json"]).args(arguments).arg(path).output();
    let output = output.expect("ffprobe is installed");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}: {}", path.display(), String::from_utf8_lossy(&output.stderr)))
}

/// Streams and packets of a file.
pub fn probe(path: &Path) -> Probe {
    let all = ffprobe(path, &["-show_streams", "-show_packets", "-show_data_hash", "md5"]);
    let seconds = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
    let stream = |kind: &str| -> Option<Stream> {
        let fields = all["streams"].as_array()?.iter().find(|stream| stream["codec_type"] == kind)?.clone();
        let own = all["packets"].as_array()?.iter().filter(|packet| packet["stream_index"] == fields["index"]);
        let mut packets: Vec<Packet> = own
            .map(|packet| Packet {
                pts_seconds: seconds(&packet["pts_time"]),
                hash: packet["data_hash"].as_str().unwrap_or_default().to_owned(),
            })
            .collect();
        packets.sort_by(|a, b| a.pts_seconds.partial_cmp(&b.pts_seconds).expect("times are numbers"));
        Some(Stream { fields, packets })
    };
    Probe { video: stream("video").unwrap_or_else(|| panic!("no video in {}", path.display())), audio: stream("audio") }
}

/// Frames that ffmpeg decodes.
pub fn decoded_frames(path: &Path) -> u64 {
    let all = ffprobe(path, &["-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames"]);
    all["streams"][0]["nb_read_frames"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether each decoded frame is marked interlaced.
pub fn interlaced(path: &Path) -> Vec<bool> {
    let all = ffprobe(path, &["-select_streams", "v:0", "-show_frames", "-show_entries", "frame=interlaced_frame"]);
    all["frames"].as_array().expect("frames").iter().map(|frame| frame["interlaced_frame"] == 1).collect()
}
