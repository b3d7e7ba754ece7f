//! What happens to files when things go wrong around them.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use gradcast::video::live::{OutputSettings, SinkKind};
use gradcast::video::part_path;

use crate::outside::frames;
use crate::stage::{PATIENCE, Stage, segments, settings, sink, wait_for};

#[test]
fn a_full_disk_under_a_whole_file_is_told_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.mp4");
    symlink("/dev/full", part_path(&path)).unwrap();
    let film = Stage::start(&settings(vec![sink("whole", SinkKind::File(path.clone()))]), None).film(15);
    wait_for("an error", || film.sinks()[0].last_error.as_ref().is_some_and(|error| error.contains("the disk is full")));
    // What failed has left nothing behind, so there is room the next time.
    wait_for("another try", || film.all_up());
    let (stage, _) = film.cut();
    assert!(stage.output.close(PATIENCE));
    assert!(frames(&path) > 0);
}

#[test]
fn what_a_killed_run_left_is_kept_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.mp4");
    let run = || {
        let settings = OutputSettings { lossless: true, ..settings(vec![sink("whole", SinkKind::File(path.clone()))]) };
        let mut stage = Stage::start(&settings, None);
        stage.push_all(60, Duration::from_millis(40));
        assert!(stage.output.close(PATIENCE));
    };
    run();
    fs::rename(&path, part_path(&path)).unwrap();
    run();
    assert_eq!(frames(&path), 60);
    assert_eq!(frames(&folder.path().join("whole.1.mp4")), 60);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("file");
    fs::write(&in_the_way, "").unwrap();
    let film =
        Stage::start(&settings(vec![sink("disk", SinkKind::Segments(segments(&in_the_way, Duration::from_secs(1))))]), None).film(15);
    wait_for("an error", || film.sinks()[0].last_error.as_ref().is_some_and(|error| error.contains(in_the_way.to_str().unwrap())));
    fs::remove_file(&in_the_way).unwrap();
    wait_for("segments", || film.all_up());
    let (stage, _) = film.cut();
    assert!(stage.output.close(PATIENCE));
}
