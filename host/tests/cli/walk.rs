//! The whole way once, as a user walks it: synthetic images in, verdicts out.

use std::{fs, path::Path};

use image::DynamicImage;
use serde_json::Value;

use crate::{
    files::files,
    fixture::{Fixture, scratch},
    program::{args, residua},
};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

#[track_caller]
fn assert_share(value: &Value, path: &str) {
    let number = value
        .pointer(path)
        .unwrap_or_else(|| panic!("no {path} in {value:#}"))
        .as_f64()
        .unwrap_or_else(|| panic!("{path} is no number in {value:#}"));
    assert!((0.0..=1.0).contains(&number), "{path} is {number}");
}

#[test]
fn a_run_holds_what_a_user_may_want_to_look_at() {
    let Fixture { run, .. } = Fixture::get();
    for name in [
        "config.toml",
        "best-1.safetensors",
        "last-1.safetensors",
        "optimizer-1.safetensors",
        "state.json",
        "metrics.jsonl",
        "curve.svg",
        "calibration.toml",
    ] {
        assert!(run.join(name).is_file(), "no {name}");
    }
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().map(json).count(), 1, "one epoch, one line");
}

#[test]
fn a_model_is_one_file_with_its_manifest_inside_and_beside() {
    let Fixture { model, .. } = Fixture::get();
    let manifest = fs::read(model.join("manifest.json")).unwrap();
    let onnx = fs::read(model.join("model.onnx")).unwrap();
    assert!(
        onnx.windows(manifest.len()).any(|bytes| bytes == manifest),
        "the manifest is not inside the ONNX file"
    );
    let manifest = json(std::str::from_utf8(&manifest).unwrap());
    assert_eq!(
        manifest["input"],
        serde_json::json!({"width": 64, "height": 64})
    );
}

#[test]
fn eval_prints_every_figure_of_the_contract() {
    let Fixture { data, model, .. } = Fixture::get();
    let report = scratch("eval").join("report.html");
    let text = residua(args![
        "eval", *model, "--data", *data, "--json", "--report", report
    ])
    .success();
    let figures = json(&text);
    for path in [
        "/image/auroc",
        "/image/f1",
        "/image/f1_best",
        "/region/precision",
        "/region/recall",
        "/region/f1",
        "/pixel/auroc",
        "/pixel/ap",
        "/pixel/f1",
        "/pixel/f1_best",
        "/pixel/iou",
        "/pixel/aupro",
    ] {
        assert_share(&figures, path);
    }
    for (at_threshold, best) in [
        ("/image/f1", "/image/f1_best"),
        ("/pixel/f1", "/pixel/f1_best"),
    ] {
        let figure = |path| figures.pointer(path).and_then(Value::as_f64).unwrap();
        assert!(
            figure(at_threshold) <= figure(best) + 1e-9,
            "{at_threshold} is better than the best"
        );
    }
    for key in ["threshold", "plateau", "images", "engine", "ms_per_image"] {
        assert!(!figures[key].is_null(), "no {key} in {figures:#}");
    }
    assert!(figures["ms_per_image"].as_f64().unwrap() > 0.0);

    let page = fs::read_to_string(&report).unwrap();
    assert!(page.contains("<svg"), "the report shows no curve");
    for mark in ["src=\"http", "href=\"http", "url(http", "@import"] {
        assert!(!page.contains(mark), "the report loads something: {mark}");
    }
}

#[test]
fn eval_counts_each_kind_in_images_of_several() {
    let folder = scratch("kinds");
    let data = folder.join("data");
    residua(args![
        "synth",
        "--out",
        data,
        "--size",
        "64x64",
        "--train",
        "3",
        "--good",
        "1",
        "--per-kind",
        "3",
        "--kinds-per-image",
        "3",
    ])
    .success();
    let masks = files(&data.join("ground_truth_by_kind/combined"));
    assert!(
        masks.len() >= 6,
        "two kinds an image at least: {}",
        masks.len()
    );
    let (model, report) = (&Fixture::get().model, folder.join("report.html"));
    let text = residua(args!["eval", *model, "--data", data, "--report", report]).success();
    let figures = json(&residua(args!["eval", *model, "--data", data, "--json"]).success());
    let page = fs::read_to_string(&report).unwrap();
    let kinds = figures["regions_by_kind"].as_array().unwrap();
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    for kind in kinds {
        let name = kind["kind"].as_str().unwrap();
        let combined = masks.keys().filter(|mask| mask.starts_with(name)).count();
        assert_eq!(kind["images"], 3 + combined, "{name}");
        assert!(kind["defects"].as_u64() >= kind["images"].as_u64());
        assert_share(kind, "/recall");
        let row: Vec<_> = ["images", "images_met", "defects", "found"]
            .map(|key| kind[key].to_string())
            .into();
        let lines = text.lines().map(|line| line.split_whitespace());
        let mut rows = lines.filter(|line| line.clone().next() == Some(name));
        let shown: Vec<_> = rows.next().unwrap().skip(1).take(4).collect();
        assert_eq!(shown, row);
        assert!(page.contains(name), "{name} is not in the report");
    }
}

#[test]
fn the_engines_give_the_same_figures() {
    let Fixture { data, model, .. } = Fixture::get();
    let figures = |engine: &str| {
        let text = residua(args![
            "eval", *model, "--data", *data, "--json", "--engine", engine
        ])
        .success();
        let mut figures = json(&text);
        let object = figures.as_object_mut().unwrap();
        assert!(object["engine"].as_str().unwrap().contains(engine));
        object.remove("engine");
        object.remove("ms_per_image");
        figures
    };
    let expected = figures("reference");
    assert_eq!(figures("tract"), expected);
    assert_eq!(figures("native"), expected);
}

#[test]
fn inspect_model_tells_what_the_manifest_states() {
    let Fixture { model, .. } = Fixture::get();
    let manifest = json(&fs::read_to_string(model.join("manifest.json")).unwrap());
    let text = residua(args!["inspect-model", *model]).success();
    let lines: Vec<&str> = text.lines().collect();
    for (field, unit) in [
        ("latency_rows", "rows after"),
        ("arena_bytes", "bytes, weights"),
    ] {
        let number = manifest["streaming"][field].as_u64().unwrap();
        let stated = format!("{number} {unit}");
        assert!(
            lines[lines.len() - 1].contains(&stated),
            "no `{stated}` in:\n{text}"
        );
    }
    let layers = &lines[2..lines.len() - 1];
    assert!(
        layers.len() > 2
            && layers
                .iter()
                .all(|line| line.split_whitespace().count() == 10)
    );
    let last = layers[layers.len() - 1];
    let latency = manifest["streaming"]["latency_rows"].to_string();
    assert!(last.ends_with(&format!(" {latency}")), "{last}");
}

#[test]
fn the_onnx_file_alone_is_the_model() {
    let Fixture { data, model, .. } = Fixture::get();
    let alone = scratch("alone").join("any-name.onnx");
    fs::copy(model.join("model.onnx"), &alone).unwrap();
    let figures = |model: &Path| {
        let mut figures = json(&residua(args!["eval", model, "--data", *data, "--json"]).success());
        figures.as_object_mut().unwrap().remove("ms_per_image");
        figures
    };
    assert_eq!(figures(&alone), figures(model));
}

/// The one file of a folder whose name holds `word`, as an image of 64x64.
fn picture(folder: &Path, word: &str) -> DynamicImage {
    let named: Vec<_> = files(folder)
        .into_keys()
        .filter(|path| path.to_string_lossy().contains(word))
        .collect();
    assert_eq!(named.len(), 1, "{word} in {}: {named:?}", folder.display());
    let picture = image::open(folder.join(&named[0])).unwrap();
    assert_eq!((picture.width(), picture.height()), (64, 64));
    picture
}

#[test]
fn a_good_part_passes() {
    let fixture = Fixture::get();
    let out = scratch("inspect-good");
    let text = residua(args![
        "inspect",
        fixture.model,
        fixture.good_image(),
        "--out",
        out
    ])
    .success();
    assert_eq!(
        text.lines().filter(|line| line.contains("GOOD")).count(),
        1,
        "{text}"
    );
    assert!(
        picture(&out, "mask")
            .to_luma8()
            .iter()
            .all(|&pixel| pixel == 0)
    );
    picture(&out, "overlay");
}

#[test]
fn a_defect_is_found_where_it_is() {
    let fixture = Fixture::get();
    let scratch = scratch("inspect-defect");
    let out = scratch.join("out");
    let spoilt = fixture.spoilt_image(&scratch);
    let ended = residua(args!["inspect", fixture.model, spoilt, "--out", out]);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("DEFECT"), "{}", ended.stdout);

    let mask = picture(&out, "mask").to_luma8();
    let defect = |x: std::ops::Range<u32>| {
        mask.enumerate_pixels()
            .filter(|(column, _, pixel)| x.contains(column) && pixel.0 == [255])
            .count()
    };
    assert!(mask.iter().all(|pixel| [0, 255].contains(pixel)));
    assert!(
        defect(0..32) > 10 * defect(32..64).max(1),
        "the mask is not where the squares were painted"
    );
    picture(&out, "overlay");
}

#[test]
fn one_defect_among_good_parts_decides_the_exit_code() {
    let fixture = Fixture::get();
    let scratch = scratch("inspect-several");
    let spoilt = fixture.spoilt_image(&scratch);
    for images in [
        [fixture.good_image(), spoilt.clone()],
        [spoilt.clone(), fixture.good_image()],
    ] {
        let ended = residua(args![
            "inspect",
            fixture.model,
            images[0],
            images[1],
            "--out",
            scratch.join("out")
        ]);
        assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
        for image in &images {
            let name = image.file_name().unwrap().to_str().unwrap();
            let named = ended.stdout.lines().filter(|line| line.contains(name));
            assert_eq!(named.count(), 1, "{}", ended.stdout);
        }
    }
}

#[test]
fn threads_change_nothing() {
    let fixture = Fixture::get();
    let scratch = scratch("inspect-threads");
    let spoilt = fixture.spoilt_image(&scratch);
    let found = |threads: &str| {
        let out = scratch.join("out");
        let ended = residua(args![
            "inspect",
            fixture.model,
            spoilt,
            "--out",
            out,
            "--json",
            "--threads",
            threads
        ]);
        assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
        let pictures = ["mask", "overlay"].map(|word| picture(&out, word).into_bytes());
        (ended.stdout, pictures)
    };
    let one = found("1");
    assert!(found("2") == one, "two threads differ from one");
    assert!(found("5") == one, "five threads differ from one");
    for engine in ["tract", "reference"] {
        let refused = residua(args![
            "inspect",
            fixture.model,
            spoilt,
            "--engine",
            engine,
            "--threads",
            "2"
        ]);
        refused.refused(&["--threads", "native"]);
    }
}

#[test]
fn verdicts_are_there_for_scripts_too() {
    let fixture = Fixture::get();
    let scratch = scratch("inspect-json");
    let out = scratch.join("out");
    let absent = scratch.join("absent.png");
    let images = [fixture.good_image(), absent, fixture.spoilt_image(&scratch)];
    let ended = residua(args![
        "inspect",
        fixture.model,
        images[0],
        images[1],
        images[2],
        "--out",
        out,
        "--json"
    ]);
    ended.refused(&["absent.png"]);
    let records: Vec<Value> = ended.stdout.lines().map(json).collect();
    let [good, absent, defect] = &records[..] else {
        panic!("not one object an image: {}", ended.stdout);
    };
    for (record, image) in records.iter().zip(&images) {
        assert_eq!(record["image"].as_str(), image.to_str());
    }
    assert!(absent["error"].is_string(), "{absent}");

    let number = |record: &Value, key: &str| record[key].as_f64().unwrap();
    assert_eq!(good["outcome"], "good");
    assert!(number(good, "score") <= number(good, "threshold"));
    assert_eq!(defect["outcome"], "defect");
    assert!(number(defect, "score") > number(defect, "threshold"));
    let region = &defect["regions"][0];
    assert!(
        number(region, "left") < 32.0 && number(region, "area") > 0.0,
        "{region}"
    );
    for picture in ["mask", "overlay"] {
        assert!(Path::new(defect[picture].as_str().unwrap()).is_file());
    }
}

#[test]
fn integers_can_be_trained_at_export_and_the_run_stays_as_it_was() {
    let scratch = scratch("qat");
    let run = Fixture::get().run_copy(&scratch);
    let before = files(&run);
    let model = scratch.join("model");
    residua(args!["export", run, "--out", model, "--qat-epochs", "1"]).success();
    let manifest = fs::read_to_string(model.join("manifest.json")).unwrap();
    let manifest = json(&manifest);
    assert_eq!(manifest["quantization"]["method"], "qat");
    assert_eq!(files(&run), before);

    // Repeated, it gives the same bytes; without it, post-training quantization's.
    let again = scratch.join("again");
    residua(args![
        "export",
        run,
        "--out",
        again,
        "--qat-epochs",
        "1",
        "--name",
        "model"
    ])
    .success();
    assert_eq!(files(&again), files(&model));
    let plain = scratch.join("plain");
    residua(args!["export", run, "--out", plain]).success();
    let manifest = fs::read_to_string(plain.join("manifest.json")).unwrap();
    assert_eq!(json(&manifest)["quantization"]["method"], "ptq");

    let data = &Fixture::get().data;
    let figures = |more: &[&str]| {
        let mut arguments = args!["eval", plain, "--data", *data, "--json"].to_vec();
        arguments.extend(more.iter().map(Into::into));
        json(&residua(arguments).success())
    };
    let float = figures(&["--float", run.to_str().unwrap()]);
    assert_eq!(float["engine"], "float");
    assert_share(&float, "/image/auroc");
    assert_ne!(
        float["pixel"],
        figures(&[])["pixel"],
        "float is not integer"
    );
}
