//! The process ends under load, by order and by force.

use std::fs;
use std::path::Path;

use crate::cameras::{Camera, CameraSettings};
use crate::daemon::Daemon;
use crate::programs::{files, frame_times, frames, make_clip};
use crate::stage::{engine, look_at, lost, shown, wait_for};

/// A camera's frames and a pattern's in every kind of file.
fn streams(folder: &Path, camera: &Camera) -> String {
    let folder = folder.display();
    format!(
        "[[stream]]\nname = \"yard\"\nsource = \"{}\"\nstall = \"1m\"\nkey_interval = \"1s\"\n\
         sink = [\"rtsp\", {{ kind = \"segments\", folder = \"{folder}/yard\", every = \"2s\" }}]\n\
         [[stream]]\nname = \"gate\"\nsource = {{ kind = \"test\", size = \"320x240\", fps = 5 }}\nstall = \"1m\"\nkey_interval = \"1s\"\n\
         sink = [\"rtsp\", {{ kind = \"segments\", folder = \"{folder}/gate\", every = \"2s\" }},\n\
         {{ kind = \"file\", path = \"{folder}/gate.mp4\" }}, {{ kind = \"hls\", folder = \"{folder}/web\", every = \"2s\", keep_for = \"1h\" }}]\n",
        camera.url(),
    )
}

fn camera() -> Camera {
    Camera::start(CameraSettings { size_px: (160, 120), fps: 10, ..CameraSettings::default() })
}

fn all_frames(paths: &[std::path::PathBuf]) -> u64 {
    paths.iter().map(|path| frames(path)).sum()
}

#[test]
fn told_to_end_it_closes_all_files_with_every_frame() {
    let (folder, camera) = (tempfile::tempdir().unwrap(), camera());
    let clip = folder.path().join("clip.mp4");
    make_clip(&clip, 3000);
    let lossless = format!(
        "[[stream]]\nname = \"lane\"\nmode = \"file\"\nsource = {{ kind = \"file\", path = \"{}\", real_time = true }}\n\
         sink = [{{ kind = \"file\", path = \"{}/lane.mp4\" }}]\n",
        clip.display(),
        folder.path().display()
    );
    let mut daemon = Daemon::with(&engine(), &format!("{}{lossless}", streams(folder.path(), &camera)));
    daemon.wait_for("three segments each", |daemon| {
        ["yard", "gate"].iter().all(|name| files(&folder.path().join(name), "mp4").len() >= 3) && shown(daemon, "lane") > 20
    });
    let viewer = look_at(&daemon, "yard");
    viewer.sees(3);
    let least = |sink: &str, stream: &str| {
        let shown = shown(&daemon, stream);
        shown - lost(&daemon, sink, stream)
    };
    let wanted = [least("segments", "yard"), least("segments", "gate"), least("file", "gate"), least("hls", "gate"), least("file", "lane")];
    let status = daemon.end(libc::SIGTERM);
    let log = daemon.log().join("\n");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(daemon.logged("ended") && !log.contains("ERROR") && !log.contains("did not come to its end") && !log.contains("hang"), "{log}");
    let works = daemon.log().iter().filter(|line| line.contains("sink works stream=gate sink=segments")).count();
    assert_eq!(works, 1, "a sink stays up from one segment to the next:\n{log}");
    wait_for("the viewer's end", || viewer.fault().is_some());
    let at = |name: &str| folder.path().join(name);
    let found = [
        all_frames(&files(&at("yard"), "mp4")),
        all_frames(&files(&at("gate"), "mp4")),
        frames(&at("gate.mp4")),
        all_frames(&files(&at("web"), "ts")),
        frames(&at("lane.mp4")),
    ];
    println!("frames counted before the end {wanted:?}, found {found:?}");
    assert!(wanted.iter().zip(found).all(|(wanted, found)| found >= *wanted), "wanted {wanted:?}, found {found:?}");
    let names = ["yard", "gate", "web", "."].into_iter().flat_map(|name| fs::read_dir(at(name)).unwrap().flatten());
    let left: Vec<_> = names.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().starts_with('.')).collect();
    assert!(left.is_empty(), "nothing half written is left: {left:?}");
}

#[test]
fn killed_it_leaves_segments_that_play_up_to_the_last_second() {
    let (folder, camera) = (tempfile::tempdir().unwrap(), camera());
    let mut daemon = Daemon::with(&engine(), &streams(folder.path(), &camera));
    let written = |name: &str| files(&folder.path().join(name), "mp4");
    daemon.wait_for("three segments each", |_| ["yard", "gate"].iter().all(|name| written(name).len() >= 3));
    daemon.wait_for_frames("gate", 15);
    let counts = ["yard", "gate"].map(|stream| (shown(&daemon, stream), lost(&daemon, "segments", stream)));
    daemon.end(libc::SIGKILL);
    for (stream, (shown, lost)) in ["yard", "gate"].iter().zip(counts) {
        let mut paths = written(stream);
        // A file that is not a second old cannot be played yet.
        let is_begun = |path: &Path| !fs::read(path).unwrap().windows(4).any(|bytes| bytes == b"moov");
        let youngest = paths.pop_if(|path| is_begun(path));
        println!("{stream}: only begun: {youngest:?}");
        let found = all_frames(&paths);
        println!("{stream}: {shown} frames shown before the end, {lost} lost, {found} in {} segments", paths.len());
        // A fragment of a second that is not whole, and one that a busy machine has still to write.
        assert!(found + lost + 20 >= shown, "{stream}: {found} of {shown}, {lost} lost");
        for pair in paths.windows(2) {
            assert!(frame_times(&pair[0]).len() >= 5, "{}: a segment that was closed is whole", pair[0].display());
        }
    }
    // It goes on behind what is there, and takes away what cannot be played.
    let before = written("gate");
    let mut daemon = Daemon::with(&engine(), &streams(folder.path(), &camera));
    daemon.wait_for("more segments", |_| written("gate").len() >= before.len() + 2);
    let kept = before.len() - 1;
    assert_eq!(written("gate")[..kept], before[..kept]);
    assert_eq!(daemon.end(libc::SIGTERM).code(), Some(0));
    let every = [written("yard"), written("gate")].concat();
    every.iter().for_each(|path| assert!(frames(path) > 0, "{}", path.display()));
    assert!(frames(&folder.path().join("gate.mp4")) > 0);
}
