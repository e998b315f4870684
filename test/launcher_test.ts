import assert from "node:assert/strict";
import { LAUNCHER_MEMORY } from "../bench/launcher_memory.ts";
import { type Ended, ended } from "./helpers/run_launcher.ts";

const LAUNCHER = new URL("../lowrank", import.meta.url).pathname;
/** What the launcher calls of the system and must not be faked. */
const REAL_TOOLS = ["cat", "chmod", "dirname", "grep", "mkdir", "readlink", "sed", "setsid", "uname"];

/** What has the launcher look for no driver. */
const DRIVER = { VK_DRIVER_FILES: "/made/up.json" };

/** A machine in a temporary folder: `bin/` is the whole PATH, `home/` the home. */
async function withMachine(
  fakes: Readonly<Record<string, string>>,
  work: (
    run: (
      args: string[],
      cwd?: string,
      env?: Record<string, string>,
    ) => Promise<Ended>,
    folder: string,
  ) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-launcher-" });
  const bin = `${folder}/bin`;
  try {
    await Deno.mkdir(bin);
    await Deno.mkdir(`${folder}/home`);
    for (const tool of REAL_TOOLS) {
      for (const place of [`/usr/bin/${tool}`, `/bin/${tool}`]) {
        await Deno.symlink(place, `${bin}/${tool}`).catch(() => {});
      }
    }
    for (const [name, body] of Object.entries({ id: "echo 1000", ...fakes })) {
      await Deno.writeTextFile(`${bin}/${name}`, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    }
    await work(async (args, cwd = folder, env = DRIVER) => {
      const command = new Deno.Command("/bin/sh", {
        args: [LAUNCHER, ...args],
        cwd,
        clearEnv: true,
        env: { PATH: bin, HOME: `${folder}/home`, ...env },
      });
      return ended(await command.output());
    }, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A Deno that says its version, or else where it was called and with what. */
const fakeDeno = (version: string) =>
  `if [ "$1" = --version ]; then echo "deno ${version} (stable)"; exit; fi
echo "cwd $(pwd -P)"; echo "runtime $XDG_RUNTIME_DIR"; echo "memory $MALLOC_ARENA_MAX $MALLOC_MMAP_THRESHOLD_ $MALLOC_TRIM_THRESHOLD_ $DENO_V8_FLAGS"
for word; do echo "[$word]"; done`;

const ignore = Deno.build.os !== "linux";

Deno.test({
  name:
    "launcher hands the verb and its words to a recent Deno, in the user's folder, with no more rights than needed",
  ignore,
  fn: () =>
    withMachine({ deno: fakeDeno("2.9.6"), ldconfig: "echo libvulkan.so.1" }, async (run, folder) => {
      const { code, out, err } = await run(["train", "--base-model", "my model"]);
      assert.deepEqual([code, err], [0, ""]);
      assert.ok(out.includes(`cwd ${await Deno.realPath(folder)}\n`), out);
      assert.match(out, /\[train\]\n\[--base-model\]\n\[my model\]\n$/);
      assert.match(out, /\[--no-prompt\]/);
      assert.doesNotMatch(out, /\[-A\]|allow-all|allow-run|allow-ffi|allow-net/);
      assert.equal(/^memory (.+)$/m.exec(out)![1], Object.values(LAUNCHER_MEMORY).join(" "));
      const runtime = /runtime (.+)/.exec(out)![1]!;
      assert.equal((await Deno.stat(runtime)).mode! & 0o777, 0o700);
    }),
});

Deno.test({
  name:
    "launcher opens the network where something on the Hub or in a bucket is named: by words, a variable or a file",
  ignore,
  fn: () =>
    withMachine({ deno: fakeDeno("2.9.6"), ldconfig: "echo libvulkan.so.1" }, async (run, folder) => {
      await Deno.writeTextFile(`${folder}/hub.yaml`, "training_data_path: hf://datasets/a/b\n");
      await Deno.writeTextFile(`${folder}/local.yaml`, "training_data_path: a.jsonl\n");
      const opened = async (words: string[], env: Record<string, string> = {}) =>
        (await run(words, folder, env)).out.includes("[--allow-net]");
      assert.ok(await opened(["check", "hf://datasets/a/b/c.jsonl"]));
      assert.ok(await opened(["train", "-c", "hub.yaml"]));
      assert.ok(await opened(["train", "--config=hub.yaml"]));
      assert.ok(await opened(["train"], { LOWRANK_TRAINING_DATA_PATH: "hf://datasets/a/b" }));
      assert.ok(!await opened(["train", "-c", "local.yaml", "--data", "hub.yaml"]));

      await Deno.mkdir(`${folder}/here/tiny`, { recursive: true });
      await Deno.writeTextFile(
        `${folder}/model.toml`,
        "lora_r = 8\nbase_model = 'owner/tiny' # of the Hub\n",
      );
      await Deno.writeTextFile(`${folder}/model.json`, '{\n  "base_model": "owner/tiny"\n}\n');
      await Deno.writeTextFile(`${folder}/here.yaml`, "base_model: here/tiny\n");
      for (
        const words of [
          ["pull", "owner/tiny"],
          ["train", "--base-model", "owner/tiny"],
          ["train", "--base_model=owner/tiny@v1"],
          ["chat", "-m", "owner/tiny"],
          ["inspect", "owner/tiny"],
          ["inspect", "gs://bucket/tiny"],
          ["merge", "--base-model", "az://container/tiny"],
          ["export", "gguf", "owner/tiny"],
          ["train", "-c", "model.toml"],
          ["train", "-c", "model.json"],
        ]
      ) assert.ok(await opened(words), words.join(" "));
      assert.ok(await opened(["train"], { LOWRANK_BASE_MODEL: "owner/tiny" }));
      for (
        const words of [
          ["train", "--base-model", "here/tiny", "--output-dir", "a/b"],
          ["train", "--base-model", "models/tiny"],
          ["train", "--base-model", "a/b/c"],
          ["generate", "-m", "./owner/tiny"],
          ["generate", "-m", "owner/tiny.gguf"],
          ["train", "-c", "here.yaml"],
          ["cache", "rm", "owner/tiny"],
          ["inspect", "here/tiny", "--json"],
        ]
      ) assert.ok(!await opened(words), words.join(" "));
      for (const uri of ["gs://b/d.jsonl", "s3://b/d.jsonl", "az://b/d.jsonl"]) {
        assert.ok(await opened(["train", "--training-data-path", uri]), uri);
        assert.ok(await opened(["train"], { LOWRANK_OUTPUT_URI: uri }), uri);
      }
      assert.ok(await opened(["train", "--gcs-bucket", "my-bucket"]));
      assert.ok(await opened(["train"], { LOWRANK_GCS_BUCKET: "my-bucket" }));
      await Deno.mkdir(`${folder}/runs/a`, { recursive: true });
      for (const [bucket, isOpen] of [["null", false], ['"my-bucket"', true], ['"nightly"', true]] as const) {
        await Deno.writeTextFile(`${folder}/runs/a/run.json`, `{ "config": { "gcs_bucket": ${bucket} } }`);
        assert.equal(await opened(["resume", "runs/a"]), isOpen, bucket);
      }
    }),
});

Deno.test({
  name:
    "launcher lets programs be started and the network be used where the user names a plugin, and else not",
  ignore,
  fn: () =>
    withMachine({ deno: fakeDeno("2.9.6"), ldconfig: "echo libvulkan.so.1" }, async (run, folder) => {
      const rights = async (words: string[], env?: Record<string, string>) =>
        (await run(words, folder, env)).out.match(/^\[--allow-(run|net)\]$/gm)?.length ?? 0;
      const files = {
        "list.yaml": "lora_r: 8\nplugins:\n  - verses.ts\n",
        "flow.yaml": "plugins: [verses.ts]\n",
        "one.toml": 'plugin = ["verses.ts"]\n',
        "whole.json": '{\n  "lora_r": 8,\n  "plugins": ["verses.ts"]\n}\n',
        "line.json": '{ "lora_r": 8, "plugins": ["verses.ts"] }\n',
        "none.yaml": "plugins: [] # so far\n",
        "none.json": '{ "plugins": [], "lora_r": 8 }\n',
        "comment.yaml": "# plugins: [verses.ts]\nplugins_of_mine: a\n",
      };
      for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${folder}/${name}`, text);
      for (
        const words of [
          ["train", "--plugin", "verses.ts"],
          ["train", "--plugin=verses.ts"],
          ["train", "--plugins", "verses.ts"],
          ["resume", "runs/a", "--plugin", "verses.ts"],
          ...["list.yaml", "flow.yaml", "one.toml", "whole.json"].map((name) => ["train", "-c", name]),
          ["train", "--config=line.json"],
          ["eval", "-c", "list.yaml"],
          ["inspect", "models/a", "--plugin", "verses.ts"],
        ]
      ) assert.equal(await rights(words), 2, words.join(" "));
      for (const verb of ["train", "resume", "generate", "chat", "merge", "export", "check", "explain"]) {
        assert.equal(await rights([verb], { ...DRIVER, LOWRANK_PLUGINS: "verses.ts" }), 2, verb);
      }
      for (const verb of ["models", "runs", "cache", "config", "version"]) {
        assert.equal(await rights([verb], { ...DRIVER, LOWRANK_PLUGINS: "verses.ts" }), 0, verb);
      }
      assert.equal(await rights(["train"], { ...DRIVER, LOWRANK_PLUGINS: "" }), 0);
      for (
        const words of [
          ["train"],
          ["train", "--plugin"],
          ["train", "--data", "list.yaml"],
          ["models", "--plugin=a"],
          ...["none.yaml", "none.json", "comment.yaml"].map((name) => ["train", "-c", name]),
        ]
      ) assert.equal(await rights(words), 0, words.join(" "));
    }),
});

Deno.test({
  name: "launcher switches Deno's telemetry on by 1 too, without spans of requests and without the network",
  ignore,
  fn: () => {
    const deno = `${fakeDeno("2.9.6")}\necho "telemetry $OTEL_DENO $OTEL_TRACES_SAMPLER $OTEL_SERVICE_NAME"`;
    return withMachine({ deno, ldconfig: "echo libvulkan.so.1" }, async (run, folder) => {
      const told = async (env: Record<string, string>) => (await run(["train"], folder, env)).out;
      const out = await told({ OTEL_DENO: "1", VK_DRIVER_FILES: "/made/up.json" });
      assert.match(out, /^telemetry true parentbased_always_on lowrank$/m);
      assert.doesNotMatch(out, /allow-net/, "Deno's exporter needs no right");
      const own = { OTEL_DENO: "true", OTEL_TRACES_SAMPLER: "always_off", OTEL_SERVICE_NAME: "tuner" };
      assert.match(await told(own), /^telemetry true always_off tuner$/m);
      assert.match(await told({}), /^telemetry {2,}$/m);
    });
  },
});

Deno.test({
  name: "launcher lets the server write its folder, listen at its address and start Deno, and nothing else",
  ignore,
  fn: () =>
    withMachine({ deno: fakeDeno("2.9.6"), ldconfig: "echo libvulkan.so.1" }, async (run, folder) => {
      const { out } = await run(["serve", "--host", "::1", "--port=9000", "--data-dir", "jobs of mine"]);
      for (const right of ["net=[::1]:9000", "write=jobs of mine", `run=${folder}/bin/deno`]) {
        assert.ok(out.includes(`[--allow-${right}]`), out);
      }
      assert.doesNotMatch(out, /\[--allow-(write|net|run|ffi|all)\]/);
      assert.match(out, /server\/main\.ts\]\n\[serve\]\n\[--host\]\n\[::1\]/);
      const rights = async (launcher: string) =>
        [...(await run(["serve", "--launcher", launcher])).out.matchAll(/\[--allow-((?:net|run)[^\]]*)\]/g)]
          .map(([, right]) => right);
      assert.deepEqual(await rights("mpi"), [`run=${folder}/bin/deno,mpirun`, "net=127.0.0.1:8000"]);
      assert.deepEqual(await rights("kubernetes"), [`run=${folder}/bin/deno`, "net"]);
      const token = await run(["token", "list"]);
      assert.match(token.out, /\[--allow-write=lowrank-server\]/);
      assert.doesNotMatch(token.out, /allow-net|allow-run/);
    }),
});

Deno.test({
  name: "launcher starts itself --ranks times through mpirun, and says what to install where there is none",
  ignore,
  fn: () =>
    withMachine({ deno: fakeDeno("2.9.6"), ldconfig: "echo libvulkan.so.1" }, async (run, folder) => {
      const without = await run(["train", "--ranks", "2"]);
      assert.deepEqual([without.code, without.out], [2, ""]);
      assert.match(without.err, /^lowrank: needs Open MPI's mpirun for --ranks: install it \([^\n]+\)\n$/);
      for (const words of [["--ranks", "1"], ["--ranks=1"], ["--ranks", "two"], ["--lora-r", "4"]]) {
        assert.match((await run(["train", ...words])).out, /\[train\]/, "left to the command itself");
      }

      const mpirun = '#!/bin/sh\nfor word; do echo "<$word>"; done; exit 7\n';
      await Deno.writeTextFile(`${folder}/bin/mpirun`, mpirun, { mode: 0o755 });
      const { code, out } = await run(["resume", "runs/my run", "--ranks=3"]);
      assert.equal(code, 7);
      assert.match(out, /^<-np>\n<3>\n[^]*\/lowrank>\n<resume>\n<runs\/my run>\n<--ranks=3>\n$/);
      assert.doesNotMatch(out, /as-root/);

      const started = { VK_DRIVER_FILES: "/made/up.json", OMPI_COMM_WORLD_SIZE: "3" };
      const rank = await run(["train", "--ranks=3"], folder, started);
      assert.match(rank.out, /\[--allow-ffi\][^]*\[--ranks=3\]/);
    }),
});

Deno.test({
  name: "launcher works through a symbolic link",
  ignore,
  fn: () =>
    withMachine({ deno: fakeDeno("3.0.0") }, async (run, folder) => {
      const direct = await run(["version"]);
      await Deno.symlink(LAUNCHER, `${folder}/link`);
      const { stdout } = await new Deno.Command("/bin/sh", {
        args: ["./link", "version"],
        cwd: folder,
        clearEnv: true,
        env: { PATH: `${folder}/bin`, HOME: `${folder}/home` },
      }).output();
      assert.equal(new TextDecoder().decode(stdout), direct.out);
    }),
});

Deno.test({
  name: "launcher passes by an old Deno and installs its own through npm, once, for this user alone",
  ignore,
  fn: () => {
    // Stands in for npm: puts a Deno where npm would.
    const npm = `while [ "$1" != --prefix ]; do shift; done
folder=$2/node_modules/@deno/linux
mkdir -p "$folder"
cat > "$folder/deno" <<'END'
#!/bin/sh
${fakeDeno("2.9.6")}
END
chmod +x "$folder/deno"`;
    return withMachine({ deno: fakeDeno("1.46.3"), npm }, async (run, folder) => {
      const first = await run(["version"]);
      assert.equal(first.err, `lowrank: installing deno 2.9.6 into ${folder}/home/.cache/lowrank\n`);
      assert.match(first.out, /\[version\]\n$/);
      assert.equal((await run(["version"])).err, "");
    });
  },
});

Deno.test({
  name: "launcher says in one line what to install where it may not install anything",
  ignore,
  fn: () =>
    withMachine({}, async (run) => {
      const { code, out, err } = await run(["version"]);
      assert.deepEqual([code, out], [2, ""]);
      assert.match(err, /^lowrank: needs Deno 2\.9\.6: install it from [^\n]+\n$/);
    }),
});

Deno.test({
  name: "launcher installs npm with apt as root, after fetching package lists when the first try fails",
  ignore,
  fn: () =>
    withMachine({
      id: "echo 0",
      "apt-get": `echo "$1" >> "$HOME/calls"; [ -e "$HOME/updated" ] || [ "$1" = update ] || exit 100
: > "$HOME/updated"`,
    }, async (run, folder) => {
      const { code, err } = await run(["version"]);
      assert.equal(code, 2);
      assert.match(err, /^lowrank: installing npm\nlowrank: installing deno 2\.9\.6 into /);
      assert.equal(await Deno.readTextFile(`${folder}/home/calls`), "install\nupdate\ninstall\n");
    }),
});

/** Folders in which the launcher looks for Vulkan drivers whatever the environment says. */
const FIXED_DRIVER_FOLDERS = ["/etc", "/usr/local/etc", "/run/opengl-driver/share"];

function hasDrivers(folder: string): boolean {
  try {
    return [...Deno.readDirSync(`${folder}/vulkan/icd.d`)].some(({ name }) => name.endsWith(".json"));
  } catch {
    return false;
  }
}

const ROOT_WITH_APT = {
  deno: fakeDeno("2.9.6"),
  ldconfig: "echo libvulkan.so.1",
  id: "echo 0",
  "apt-get": `echo "$@" >> "$HOME/calls"`,
};

Deno.test({
  name: "launcher installs Mesa only where it finds no Vulkan driver at all, and only for verbs that compute",
  ignore: ignore || FIXED_DRIVER_FOLDERS.some(hasDrivers),
  fn: () =>
    withMachine(ROOT_WITH_APT, async (run, folder) => {
      const calls = () => Deno.readTextFile(`${folder}/home/calls`).catch(() => "");
      const env = { XDG_DATA_DIRS: `${folder}/other:${folder}/share` };
      for (const verb of ["version", "config"]) await run([verb], folder, env);
      assert.match((await run(["doctor"], folder, env)).out, /\[--allow-all\]/, "doctor looks into /dev");
      assert.equal(await calls(), "");

      for (const file of ["nvidia_icd.json", "radeon_icd.x86_64.json", "intel_icd.x86_64.json"]) {
        await Deno.mkdir(`${folder}/share/vulkan/icd.d`, { recursive: true });
        await Deno.writeTextFile(`${folder}/share/vulkan/icd.d/${file}`, "{}");
        assert.equal((await run(["train"], folder, env)).err, "", file);
        await Deno.remove(`${folder}/share`, { recursive: true });
      }
      assert.equal(await calls(), "");

      assert.equal((await run(["train"], folder, env)).err, "lowrank: installing mesa-vulkan-drivers\n");
      assert.equal(await calls(), "install -y -qq --no-install-recommends mesa-vulkan-drivers\n");
    }),
});

Deno.test({
  name: "launcher names the driver to install where it may not install one",
  ignore: ignore || FIXED_DRIVER_FOLDERS.some(hasDrivers),
  fn: () =>
    withMachine({ ...ROOT_WITH_APT, id: "echo 1000" }, async (run, folder) => {
      const { code, err } = await run(["train"], folder, { XDG_DATA_DIRS: `${folder}/none` });
      assert.equal(code, 0);
      assert.match(
        err,
        /^lowrank: no Vulkan driver found: install your GPU's, or mesa-vulkan-drivers [^\n]+\n$/,
      );
    }),
});

Deno.test({
  name: "launcher is valid for dash, and silent about it",
  ignore,
  fn: async () => {
    const { success, stderr } = await new Deno.Command("/bin/sh", { args: ["-n", LAUNCHER] }).output();
    assert.deepEqual([success, new TextDecoder().decode(stderr)], [true, ""]);
  },
});
