/**
 * A plugin of the tests: `shelf:///PATH` is a file of this machine, in a bucket's manner.
 *
 * @module
 */
import { definePlugin } from "lowrank";
import { LocalStorageManager } from "lowrank/storage/local_store";

export default definePlugin({
  apiVersion: 1,
  name: "shelf",
  storage: [{
    schemes: ["shelf"],
    open(uri) {
      const path = new URL(uri).pathname.replace(/(?<=.)\/+$/, ""), slash = path.lastIndexOf("/");
      return { storage: new LocalStorageManager(path.slice(0, slash) || "/"), name: path.slice(slash + 1) };
    },
  }],
});
