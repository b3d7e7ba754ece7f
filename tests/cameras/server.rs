//! An RTSP server of GStreamer's, with a thread and a main context of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use gst::glib;
use gst::prelude::*;
use gst_rtsp_server::prelude::*;
use gst_rtsp_server::{RTSPAuth, RTSPFilterResult, RTSPMediaFactory, RTSPServer, RTSPToken};

use super::{CameraSettings, Codec};

/// What is wrong with a camera's packets; shared with its pipelines.
#[derive(Default)]
pub struct Faults {
    pub silent: AtomicBool,
    pub spoilt: AtomicBool,
    /// The capsfilters that say the size.
    sizes: Mutex<Vec<glib::WeakRef<gst::Element>>>,
}

impl Faults {
    pub fn resize(&self, settings: &CameraSettings) {
        for element in self.sizes.lock().unwrap().iter().filter_map(glib::WeakRef::upgrade) {
            element.set_property("caps", raw_caps(settings));
        }
    }
}

/// Runs until it is dropped.
pub struct Server {
    server: RTSPServer,
    port: u16,
    main_loop: glib::MainLoop,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// One camera, at /camera and a free port.
    pub fn of_camera(settings: &CameraSettings, faults: &Arc<Faults>) -> Server {
        let server = Server::start(0, vec![("/camera".to_owned(), camera_factory(settings, faults))]);
        server.demand(settings.credentials);
        server
    }

    /// Serves these at 127.0.0.1; port 0 takes a free one.
    pub fn start(port: u16, mounts: Vec<(String, RTSPMediaFactory)>) -> Server {
        let context = glib::MainContext::new();
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let server = RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service(&port.to_string());
        let points = server.mount_points().unwrap();
        for (path, factory) in mounts {
            points.add_factory(&path, factory);
        }
        let (said, hear) = mpsc::channel();
        let (runs, serves) = (main_loop.clone(), server.clone());
        let body = move || {
            let attached = context.with_thread_default(|| serves.attach(Some(&context))).unwrap();
            said.send(attached.is_ok()).unwrap();
            let Ok(source) = attached else { return };
            runs.run();
            serves.client_filter(Some(&mut |_, _| RTSPFilterResult::Remove));
            if let Some(source) = context.find_source_by_id(&source) {
                source.destroy();
            }
            // Sockets are closed when their sources are finalised.
            while context.iteration(false) {}
        };
        let thread = thread::Builder::new().name("camera".into()).spawn(body).unwrap();
        assert!(hear.recv().unwrap(), "an RTSP server at port {port} of 127.0.0.1: is the port taken?");
        let port = u16::try_from(server.bound_port()).unwrap();
        Server { server, port, main_loop, thread: Some(thread) }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Who connects from now on has to give these.
    pub fn demand(&self, credentials: Option<(&str, &str)>) {
        let auth = credentials.map(|(user, password)| {
            let auth = RTSPAuth::new();
            let token = RTSPToken::builder().field("media.factory.role", "viewer").build();
            auth.set_supported_methods(gst_rtsp::RTSPAuthMethod::Digest);
            auth.add_digest(user, password, &token);
            auth
        });
        self.server.set_auth(auth.as_ref());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // From within: one that has not begun to run would not hear it.
        let main_loop = self.main_loop.clone();
        let quits = glib::idle_source_new(None, glib::Priority::DEFAULT, move || {
            main_loop.quit();
            glib::ControlFlow::Break
        });
        quits.attach(Some(&self.main_loop.context()));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn raw_caps(settings: &CameraSettings) -> gst::Caps {
    let (width_px, height_px) = settings.size_px;
    gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("colorimetry", "bt601")
        .field("width", width_px as i32)
        .field("height", height_px as i32)
        .field("framerate", gst::Fraction::new(settings.fps as i32, 1))
        .build()
}

fn camera_factory(settings: &CameraSettings, faults: &Arc<Faults>) -> RTSPMediaFactory {
    let (fps, pattern) = (settings.fps, settings.pattern);
    let picture = format!("videotestsrc is-live=true pattern={pattern} ! capsfilter name=size caps=\"{}\"", raw_caps(settings));
    let coded = match settings.codec {
        Codec::H264 => format!(
            "{picture} ! x264enc tune=zerolatency speed-preset=ultrafast threads=1 bitrate=800 key-int-max={fps} ! \
             video/x-h264,profile=baseline ! rtph264pay name=pay0 pt=96 config-interval=-1"
        ),
        Codec::H265 => format!(
            "{picture} ! x265enc tune=zerolatency speed-preset=ultrafast bitrate=800 key-int-max={fps} ! \
             rtph265pay name=pay0 pt=96 config-interval=-1"
        ),
        Codec::Mjpeg => {
            format!(
                "{picture} ! videoconvert ! video/x-raw,format=BGRx ! videoconvert ! \
             video/x-raw,format=I420,colorimetry=(string)1:4:0:0 ! jpegenc ! rtpjpegpay name=pay0 pt=26"
            )
        }
        Codec::Sound => "audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay0 pt=8".to_owned(),
    };
    let factory = RTSPMediaFactory::new();
    factory.set_launch(&format!("( {coded} )"));
    factory.set_shared(true);
    let role = gst::Structure::builder("viewer").field("media.factory.access", true).field("media.factory.construct", true).build();
    factory.add_role_from_structure(&role);
    let faults = Arc::clone(faults);
    let settings = settings.clone();
    factory.connect_media_configure(move |_, media| {
        let bin = media.element().downcast::<gst::Bin>().unwrap();
        if let Some(size) = bin.by_name("size") {
            // Its size may have changed since the factory was made.
            let mut sizes = faults.sizes.lock().unwrap();
            if let Some(before) = sizes.iter().filter_map(glib::WeakRef::upgrade).next_back() {
                size.set_property("caps", before.property::<gst::Caps>("caps"));
            } else {
                size.set_property("caps", raw_caps(&settings));
            }
            sizes.push(size.downgrade());
        }
        break_packets(&bin.by_name("pay0").unwrap().static_pad("src").unwrap(), &faults);
    });
    factory
}

/// Length of an RTP header without extensions.
const RTP_HEADER_BYTES: usize = 12;

fn break_packets(pad: &gst::Pad, faults: &Arc<Faults>) {
    let faults = Arc::clone(faults);
    pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, info| {
        if faults.silent.load(Ordering::Relaxed) {
            return gst::PadProbeReturn::Drop;
        }
        if faults.spoilt.load(Ordering::Relaxed) {
            match &mut info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => *buffer = spoilt(buffer),
                Some(gst::PadProbeData::BufferList(list)) => *list = list.iter_owned().map(|buffer| spoilt(&buffer)).collect(),
                _ => {}
            }
        }
        gst::PadProbeReturn::Ok
    });
}

/// The same packet with rubbish for a payload.
fn spoilt(buffer: &gst::Buffer) -> gst::Buffer {
    let mut bytes = buffer.map_readable().unwrap().to_vec();
    let mut noise = bytes.len() as u32;
    for byte in bytes.iter_mut().skip(RTP_HEADER_BYTES) {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (noise >> 24) as u8;
    }
    let mut packet = gst::Buffer::from_mut_slice(bytes);
    buffer.copy_into(packet.get_mut().unwrap(), gst::BufferCopyFlags::TIMESTAMPS | gst::BufferCopyFlags::FLAGS, ..).unwrap();
    packet
}
