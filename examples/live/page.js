// The page: it shows each change of the guest's datasets when it arrives.
//
// The address of the page says where the server is:
//   index.html?endpoint=http://127.0.0.1:8014&pool=us-east-1:...

import { Guest } from "./guest.js";
import { listen } from "./live.js";

const asked = new URLSearchParams(location.search);
const guest = new Guest(asked.get("endpoint"), asked.get("pool"));

function show(id, text) {
  document.getElementById(id).textContent = text;
}

listen(guest, {
  onState(state) {
    show("identity", guest.identityId ?? "none yet");
    show("state", state);
  },
  onChange({ datasetName, syncCount }) {
    const item = document.createElement("li");
    item.textContent = `${datasetName} is at ${syncCount}`;
    document.getElementById("changes").append(item);
  },
});
