//! Whatever is wrong with its input, `residua` says so in one line that names the file and the
//! remedy, ends with exit code 2, and leaves what lay on the disk before as it was.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;

use crate::{
    files::{assert_intact, copy_folder, files, first_file},
    fixture::{Fixture, scratch},
    program::{Ended, args, command, residua, residua_without_space},
};

/// The path as it stands in messages.
fn shown(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// Leaves the first `part` of a file's bytes.
fn truncate(path: &Path, part: f64) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..(bytes.len() as f64 * part) as usize]).unwrap();
}

fn image_of(size: (u32, u32), path: &Path) {
    image::GrayImage::from_pixel(size.0, size.1, image::Luma([128]))
        .save(path)
        .unwrap();
}

mod images {
    use super::*;

    /// Inspects a good image into a folder, then the bad one into the same folder.
    fn inspected_after_a_good_one(bad: &Path, scratch: &Path) -> Ended {
        let fixture = Fixture::get();
        let out = scratch.join("out");
        residua(args![
            "inspect",
            fixture.model,
            fixture.good_image(),
            "--out",
            out
        ]);
        let before = files(&out);
        assert!(!before.is_empty(), "the good image left no output");
        let ended = residua(args!["inspect", fixture.model, bad, "--out", out]);
        assert_intact(&out, &before);
        ended
    }

    #[test]
    fn missing() {
        let scratch = scratch("image-missing");
        let bad = scratch.join("absent.png");
        inspected_after_a_good_one(&bad, &scratch).refused(&[shown(&bad), "No such file"]);
    }

    #[test]
    fn a_folder() {
        let scratch = scratch("image-folder");
        let bad = scratch.join("folder.png");
        fs::create_dir(&bad).unwrap();
        inspected_after_a_good_one(&bad, &scratch).refused(&[shown(&bad)]);
    }

    #[test]
    fn empty() {
        let scratch = scratch("image-empty");
        let bad = scratch.join("empty.png");
        File::create(&bad).unwrap();
        inspected_after_a_good_one(&bad, &scratch).refused(&[shown(&bad), "empty"]);
    }

    #[test]
    fn no_image() {
        let scratch = scratch("image-none");
        let bad = scratch.join("letter.png");
        fs::write(&bad, "Dear colleague, the camera is on the other folder.\n").unwrap();
        inspected_after_a_good_one(&bad, &scratch).refused(&[shown(&bad), "not a PNG"]);
    }

    #[test]
    fn truncated() {
        let scratch = scratch("image-truncated");
        for part in [0.02, 0.5, 0.99] {
            let bad = scratch.join("cut.png");
            fs::copy(Fixture::get().good_image(), &bad).unwrap();
            truncate(&bad, part);
            inspected_after_a_good_one(&bad, &scratch).refused(&[shown(&bad)]);
        }
    }

    #[test]
    fn of_another_size() {
        let scratch = scratch("image-size");
        let bad = scratch.join("wide.png");
        image_of((80, 64), &bad);
        inspected_after_a_good_one(&bad, &scratch).refused(&[shown(&bad), "80x64", "64x64"]);
    }
}

mod data {
    use super::*;

    fn train(data: &Path, run: &Path) -> Ended {
        residua(args![
            "train",
            "--data",
            data,
            "--out",
            run,
            "--preset",
            "edge-small",
            "--epochs",
            "1",
            "--device",
            "cpu",
        ])
    }

    /// Trains on a copy of the good data that `spoil` was let loose on; it gives what the error
    /// must name.
    fn train_on_spoilt(name: &str, spoil: impl FnOnce(&Path) -> Vec<String>) {
        let scratch = scratch(name);
        let data = copy_folder(&Fixture::get().data, &scratch.join("data"));
        let words = spoil(&data);
        let run = scratch.join("run");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        train(&data, &run).refused(&words);
        assert!(!run.exists(), "a run was made of data that was refused");
    }

    fn a_training_image(data: &Path) -> PathBuf {
        first_file(&data.join("train/good"))
    }

    #[test]
    fn missing() {
        train_on_spoilt("data-missing", |data| {
            fs::remove_dir_all(data).unwrap();
            vec![shown(data).into(), "no such folder".into()]
        });
    }

    #[test]
    fn without_images() {
        train_on_spoilt("data-empty", |data| {
            fs::remove_dir_all(data).unwrap();
            fs::create_dir(data).unwrap();
            vec![shown(data).into(), "train/good".into()]
        });
    }

    #[test]
    fn without_good_images() {
        train_on_spoilt("data-no-good", |data| {
            for path in files(&data.join("train/good")).into_keys() {
                fs::remove_file(data.join("train/good").join(path)).unwrap();
            }
            vec![
                shown(data).into(),
                "no good images".into(),
                "train/good".into(),
            ]
        });
    }

    #[test]
    fn with_too_few_images() {
        train_on_spoilt("data-few", |data| {
            let good = data.join("train/good");
            for path in files(&good).into_keys().skip(2) {
                fs::remove_file(good.join(path)).unwrap();
            }
            vec![shown(data).into(), "too few".into()]
        });
    }

    #[test]
    fn with_an_empty_file() {
        train_on_spoilt("data-empty-file", |data| {
            let image = a_training_image(data);
            File::create(&image).unwrap();
            vec![shown(&image).into(), "empty".into()]
        });
    }

    #[test]
    fn with_a_truncated_image() {
        train_on_spoilt("data-truncated", |data| {
            let image = a_training_image(data);
            truncate(&image, 0.5);
            vec![shown(&image).into()]
        });
    }

    #[test]
    fn with_a_file_that_is_no_image() {
        train_on_spoilt("data-no-image", |data| {
            let image = a_training_image(data);
            fs::write(&image, "<html>404</html>").unwrap();
            vec![shown(&image).into(), "not a PNG".into()]
        });
    }

    #[test]
    fn of_mixed_sizes() {
        train_on_spoilt("data-mixed", |data| {
            let image = a_training_image(data);
            image_of((48, 64), &image);
            vec![shown(&image).into(), "48x64".into(), "64x64".into()]
        });
    }

    #[test]
    fn a_model_is_not_measured_on_images_of_another_size() {
        let scratch = scratch("data-other-size");
        let data = scratch.join("data");
        residua(args!["synth", "--out", data, "--size", "96x64"]).success();
        residua(args!["eval", Fixture::get().model, "--data", data]).refused(&[
            shown(&data),
            "96x64",
            "64x64",
        ]);
    }

    #[test]
    fn a_finished_run_is_not_overwritten() {
        let scratch = scratch("run-overwritten");
        let run = Fixture::get().run_copy(&scratch);
        let before = files(&run);
        train(&Fixture::get().data, &run).refused(&[shown(&run), "--resume"]);
        assert_intact(&run, &before);
    }
}

mod run {
    use super::*;

    #[test]
    fn missing() {
        let scratch = scratch("run-missing");
        let run = scratch.join("absent");
        residua(args!["calibrate", run]).refused(&[shown(&run)]);
        residua(args!["export", run, "--out", scratch.join("model")]).refused(&[shown(&run)]);
        assert!(!run.exists(), "an empty run was made");
    }

    #[test]
    fn damaged() {
        for name in ["config.toml", "best-1.safetensors"] {
            let scratch = scratch(&format!("run-damaged-{name}"));
            let run = Fixture::get().run_copy(&scratch);
            let file = run.join(name);
            let whole = fs::read(&file).unwrap();
            for content in [&b""[..], b"\x00\xff[=", &whole[..whole.len() / 2]] {
                fs::write(&file, content).unwrap();
                let before = files(&run);
                residua(args!["calibrate", run]).refused(&[shown(&file)]);
                residua(args!["export", run, "--out", scratch.join("model")])
                    .refused(&[shown(&file)]);
                assert_intact(&run, &before);
            }
            fs::remove_file(&file).unwrap();
            residua(args!["calibrate", run]).refused(&[shown(&file)]);
        }
    }

    #[test]
    fn without_its_state() {
        let scratch = scratch("run-stateless");
        let run = Fixture::get().run_copy(&scratch);
        let state = run.join("state.json");
        fs::remove_file(&state).unwrap();
        let before = files(&run);
        let data = &Fixture::get().data;
        residua(args!["train", "--data", *data, "--out", run, "--resume"]).refused(&[
            shown(&state),
            "missing",
            "restore",
        ]);
        assert_intact(&run, &before);
    }

    #[test]
    fn whose_images_are_gone() {
        let scratch = scratch("run-without-images");
        let run = Fixture::get().run_copy(&scratch);
        let config = run.join("config.toml");
        let text = fs::read_to_string(&config).unwrap();
        let gone = scratch.join("gone");
        let text = text.replace(shown(&Fixture::get().data), shown(&gone));
        fs::write(&config, text).unwrap();
        residua(args!["calibrate", run]).refused(&[shown(&gone), "--resume", "--data"]);
    }

    #[test]
    fn that_is_not_the_models() {
        let scratch = scratch("run-of-another");
        let run = Fixture::get().run_copy(&scratch);
        let config = run.join("config.toml");
        let text = fs::read_to_string(&config).unwrap();
        let other = text.replace("\nseed = 0", "\nseed = 5");
        assert_ne!(other, text);
        fs::write(&config, other).unwrap();
        let Fixture { model, data, .. } = Fixture::get();
        residua(args!["eval", *model, "--data", *data, "--float", run])
            .refused(&["--float", shown(&run)]);
    }

    #[test]
    fn regions_larger_than_the_images() {
        let run = Fixture::get().run_copy(&scratch("run-min-area"));
        residua(args!["calibrate", run, "--min-area", "4097"]).refused(&["--min-area", "4096"]);
    }

    #[test]
    fn not_calibrated() {
        let scratch = scratch("run-not-calibrated");
        let run = Fixture::get().run_copy(&scratch);
        fs::remove_file(run.join("calibration.toml")).unwrap();
        // It is then calibrated at the defaults.
        residua(args!["export", run, "--out", scratch.join("model")]).success();
        assert!(run.join("calibration.toml").exists());
    }
}

mod place {
    use super::*;

    fn export(out: &Path) -> Ended {
        residua(args!["export", Fixture::get().run, "--out", out, "--force"])
    }

    #[test]
    fn what_is_no_model_is_not_replaced() {
        let scratch = scratch("place-foreign");
        let run = Fixture::get().run_copy(&scratch);
        let model = Fixture::get().model_copy(&scratch);
        fs::write(model.join("notes.txt"), "mine").unwrap();
        let file = scratch.join("file");
        fs::write(&file, "mine").unwrap();
        let before = files(&scratch);
        export(&run).refused(&[shown(&run), "no part of a model", "--out"]);
        export(&model).refused(&[shown(&model), "notes.txt", "--out"]);
        export(&file).refused(&[shown(&file), "--out"]);
        for own in ["model/.", "model/.."] {
            export(&scratch.join(own)).refused(&["--out"]);
        }
        assert_intact(&scratch, &before);
    }

    #[test]
    fn without_a_name() {
        let scratch = scratch("place-nameless");
        let inside = Fixture::get().model_copy(&scratch);
        let before = files(&scratch);
        for out in [".", ".."] {
            let arguments = args!["export", Fixture::get().run, "--out", out, "--force"];
            let ended = command(arguments).current_dir(&inside).output().unwrap();
            Ended::from(ended).refused(&["--out", "name"]);
        }
        assert_intact(&scratch, &before);
    }

    #[test]
    fn what_lies_beside_the_model_stays() {
        let scratch = scratch("place-beside");
        let model = Fixture::get().model_copy(&scratch);
        for kept in ["model.old", "model.partial"] {
            fs::create_dir(scratch.join(kept)).unwrap();
            fs::write(scratch.join(kept).join("notes.txt"), "mine").unwrap();
        }
        let before = files(&scratch);
        export(&model).success();
        assert_intact(&scratch, &before);
    }

    #[test]
    fn a_name_that_is_too_long() {
        let out = scratch("place-long").join("m".repeat(65));
        export(&out).refused(&["--name", "64"]);
        assert!(!out.exists());
    }

    #[test]
    fn a_rate_for_no_epochs() {
        let out = scratch("place-rate").join("model");
        residua(args![
            "export",
            Fixture::get().run,
            "--out",
            out,
            "--qat-lr",
            "0.5"
        ])
        .refused(&["--qat-lr", "--qat-epochs"]);
    }
}

mod model {
    use super::*;

    /// That neither command accepts the model, each for these reasons.
    #[track_caller]
    fn refused(model: &Path, words: &[&str]) {
        let fixture = Fixture::get();
        let out = model.with_file_name("out");
        residua(args!["inspect", model, fixture.good_image(), "--out", out]).refused(words);
        residua(args!["eval", model, "--data", fixture.data]).refused(words);
    }

    /// A copy of the model whose manifest was changed by `change`.
    fn with_manifest(scratch: &Path, change: impl FnOnce(&mut Value)) -> PathBuf {
        let model = Fixture::get().model_copy(scratch);
        let path = model.join("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut manifest);
        let manifest = serde_json::to_string_pretty(&manifest).unwrap();
        fs::write(&path, &manifest).unwrap();
        // Inside the file it is the last record: tag, length in two bytes, key, value.
        let onnx = model.join("model.onnx");
        let bytes = fs::read(&onnx).unwrap();
        let key = b"\x0a\x10residua.manifest";
        let at = bytes.windows(key.len()).position(|window| window == key);
        let record = at.unwrap() - 3;
        assert_eq!(bytes[record], 0x72, "metadata_props are field 14");
        let changed = residua_host::export::with_manifest(&bytes[..record], &manifest);
        fs::write(&onnx, changed).unwrap();
        model
    }

    #[test]
    fn missing() {
        let scratch = scratch("model-missing");
        let model = scratch.join("absent");
        refused(&model, &[shown(&model)]);
        let model = scratch.join("absent.onnx");
        refused(&model, &[shown(&model)]);
        fs::create_dir(scratch.join("empty")).unwrap();
        refused(&scratch.join("empty"), &[shown(&scratch.join("empty"))]);
    }

    #[test]
    fn an_onnx_file_that_is_damaged() {
        let scratch = scratch("model-damaged");
        let model = Fixture::get().model_copy(&scratch);
        let onnx = model.join("model.onnx");
        let whole = fs::read(&onnx).unwrap();
        for content in [&b""[..], b"not a model", &whole[..whole.len() / 2]] {
            fs::write(&onnx, content).unwrap();
            refused(&model, &[shown(&onnx)]);
            refused(&onnx, &[shown(&onnx)]);
        }
    }

    #[test]
    fn a_manifest_that_is_damaged() {
        let scratch = scratch("model-manifest-damaged");
        let model = Fixture::get().model_copy(&scratch);
        let manifest = model.join("manifest.json");
        let whole = fs::read(&manifest).unwrap();
        for content in [&b""[..], b"[]", b"\xff\xfe", &whole[..whole.len() / 2]] {
            fs::write(&manifest, content).unwrap();
            refused(&model, &[shown(&manifest)]);
        }
    }

    #[test]
    fn a_digest_that_does_not_fit() {
        let scratch = scratch("model-digest");
        let model = with_manifest(&scratch, |manifest| {
            manifest["digest"] = "0".repeat(64).into();
        });
        refused(&model, &["digest"]);
    }

    #[test]
    fn weights_that_were_changed() {
        let scratch = scratch("model-weights");
        let model = Fixture::get().model_copy(&scratch);
        let onnx = model.join("model.onnx");
        let mut bytes = fs::read(&onnx).unwrap();
        // The initializers are most of the file, so its middle is among the weights.
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&onnx, bytes).unwrap();
        refused(&model, &["digest"]);
        refused(&onnx, &[shown(&onnx), "digest"]);
    }

    #[test]
    fn a_version_of_the_future() {
        let scratch = scratch("model-version");
        let model = with_manifest(&scratch, |manifest| manifest["version"] = 2.into());
        refused(&model, &["version", "export"]);
    }

    #[test]
    fn an_arena_that_is_not_the_networks() {
        let scratch = scratch("model-streaming");
        for field in ["arena_bytes", "latency_rows"] {
            let model = with_manifest(&scratch, |manifest| {
                manifest["streaming"][field] = 7.into();
            });
            refused(&model, &["manifest", "streaming", "7", "export"]);
        }
    }

    #[test]
    fn thresholds_on_another_scale() {
        let scratch = scratch("model-scale");
        let model = with_manifest(&scratch, |manifest| {
            let rule = &mut manifest["rule"];
            let bits = rule["image_threshold"]["scale"]["fraction_bits"]
                .as_u64()
                .unwrap();
            let other = if bits == 12 { 11 } else { bits + 1 };
            rule["image_threshold"]["scale"]["fraction_bits"] = other.into();
        });
        refused(&model, &["manifest", "scale"]);

        let model = with_manifest(&scratch, |manifest| {
            for threshold in ["pixel_threshold", "image_threshold"] {
                manifest["rule"][threshold]["scale"]["fraction_bits"] = 60.into();
            }
        });
        refused(&model, &["manifest", "fraction_bits"]);
    }

    #[test]
    fn a_shape_that_does_not_fit() {
        let scratch = scratch("model-shape");
        let too_small = with_manifest(&scratch, |manifest| {
            manifest["graph"]["width"] = 48.into();
        });
        refused(&too_small, &["graph", "48x64", "64x64"]);

        let another = with_manifest(&scratch, |manifest| {
            manifest["graph"]["width"] = 80.into();
        });
        refused(&another, &["80x64", "64x64"]);
    }
}

mod disk {
    use super::*;

    #[test]
    fn full_while_images_are_made() {
        let out = scratch("full-synth").join("data");
        residua_without_space(args!["synth", "--out", out, "--size", "64x64"])
            .refused(&[shown(&out), "File too large"]);
    }

    #[test]
    fn full_while_training() {
        let scratch = scratch("full-train");
        let run = scratch.join("run");
        residua_without_space(args![
            "train",
            "--data",
            Fixture::get().data,
            "--out",
            run,
            "--preset",
            "edge-small",
            "--epochs",
            "1",
            "--device",
            "cpu",
        ])
        .refused(&[shown(&run), "File too large"]);
    }

    #[test]
    fn full_while_training_goes_on() {
        let scratch = scratch("full-resume");
        let run = Fixture::get().run_copy(&scratch);
        let before = files(&run);
        let arguments = args![
            "train",
            "--data",
            Fixture::get().data,
            "--out",
            run,
            "--preset",
            "edge-small",
            "--epochs",
            "2",
            "--device",
            "cpu",
            "--resume",
        ];
        residua_without_space(&arguments).refused(&[shown(&run), "File too large"]);
        assert_intact(&run, &before);
        // Space was made: nothing that was learnt is lost, and the run goes on.
        residua(&arguments).success();
        let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        assert_eq!(log.lines().count(), 2, "{log}");
    }

    #[test]
    fn full_while_calibrating() {
        let scratch = scratch("full-calibrate");
        let run = Fixture::get().run_copy(&scratch);
        let before = files(&run);
        residua_without_space(args!["calibrate", run]).refused(&[shown(&run), "File too large"]);
        assert_intact(&run, &before);
    }

    #[test]
    fn full_while_exporting() {
        let scratch = scratch("full-export");
        let model = Fixture::get().model_copy(&scratch);
        let before = files(&model);
        residua_without_space(args![
            "export",
            Fixture::get().run,
            "--out",
            model,
            "--force"
        ])
        .refused(&[shown(&model), "File too large"]);
        assert_intact(&model, &before);
    }

    #[test]
    fn full_while_reporting() {
        let scratch = scratch("full-report");
        let fixture = Fixture::get();
        let report = scratch.join("report.html");
        fs::write(&report, "the report of yesterday").unwrap();
        let before = files(&scratch);
        residua_without_space(args![
            "eval",
            fixture.model,
            "--data",
            fixture.data,
            "--report",
            report,
        ])
        .refused(&[shown(&report), "File too large"]);
        assert_intact(&scratch, &before);
    }

    #[test]
    fn full_while_inspecting() {
        let scratch = scratch("full-inspect");
        let fixture = Fixture::get();
        let out = scratch.join("out");
        let arguments = args!["inspect", fixture.model, fixture.good_image(), "--out", out];
        residua(&arguments);
        let before = files(&out);
        assert!(!before.is_empty());
        residua_without_space(&arguments).refused(&[shown(&out), "File too large"]);
        assert_intact(&out, &before);
    }

    /// What a verdict is written to may be full too, and then no verdict was given.
    #[test]
    fn full_behind_standard_output() {
        let fixture = Fixture::get();
        let out = scratch("full-stdout").join("out");
        for arguments in [
            args!["inspect", fixture.model, fixture.good_image(), "--out", out].to_vec(),
            args!["eval", fixture.model, "--data", fixture.data, "--json"].to_vec(),
        ] {
            let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
            let output = command(arguments)
                .stdout(full)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
                .wait_with_output()
                .unwrap();
            Ended::from(output).refused(&["No space left"]);
        }
    }
}

mod deaf {
    use super::*;

    /// Nobody may hear the notes and warnings, but that is no reason to end otherwise.
    #[test]
    fn a_full_standard_error_changes_no_exit_code() {
        let scratch = scratch("full-stderr");
        let run = Fixture::get().run_copy(&scratch);
        let absent = scratch.join("absent");
        for (arguments, code) in [
            (args!["calibrate", run], 0),
            (args!["calibrate", absent], 2),
        ] {
            let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
            let status = command(arguments)
                .stdout(Stdio::null())
                .stderr(full)
                .status()
                .unwrap();
            assert_eq!(status.code(), Some(code));
        }
    }
}

mod training {
    use super::*;

    // With the feature, whether there is a GPU is the machine's affair.
    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_gpu_that_is_not_there() {
        let scratch = scratch("no-gpu");
        let run = scratch.join("run");
        residua(args![
            "train",
            "--data",
            Fixture::get().data,
            "--out",
            run,
            "--preset",
            "edge-small",
            "--epochs",
            "1",
            "--device",
            "cuda",
        ])
        .refused(&["cuda", "--device cpu"]);
    }

    #[test]
    fn a_precision_that_the_device_does_not_have() {
        let scratch = scratch("precision");
        let run = scratch.join("run");
        residua(args![
            "train",
            "--data",
            Fixture::get().data,
            "--out",
            run,
            "--device",
            "cpu",
            "--precision",
            "tf32",
        ])
        .refused(&["--precision", "--device cuda"]);
        assert!(!run.exists(), "a refused training left a run behind");
    }

    #[test]
    fn a_loss_that_is_no_number() {
        let scratch = scratch("nan");
        let run = Fixture::get().run_copy(&scratch);
        let best = fs::read(run.join("best-1.safetensors")).unwrap();
        residua(args![
            "train",
            "--data",
            Fixture::get().data,
            "--out",
            run,
            "--preset",
            "edge-small",
            "--epochs",
            "4",
            "--device",
            "cpu",
            "--lr",
            "1e30",
            "--resume",
        ])
        .refused(&["loss", "--lr"]);
        assert!(
            fs::read(run.join("best-1.safetensors")).unwrap() == best,
            "the last good weights were lost"
        );
        // They are still good for something.
        residua(args!["calibrate", run]).success();
    }
}
