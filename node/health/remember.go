package health

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/weir-gpu/weir/node/discover"
	"github.com/weir-gpu/weir/node/parts"
)

// Remember returns the devices that a driver has named now or to an agent before
// this one, and writes them down for the next: a device that is lost meanwhile is
// one of the machine still, and who has it can be told. What the driver has
// answered is found and err. The file is to be where a start of the machine
// empties it. A device whose number is another's now is forgotten.
func Remember(file string, found []parts.Device, err error) ([]parts.Device, error) {
	if err != nil && !errors.Is(err, discover.ErrNone) {
		return nil, err
	}
	var known []parts.Device
	text, failed := os.ReadFile(file)
	switch {
	case errors.Is(failed, fs.ErrNotExist):
	case failed != nil:
		return nil, failed
	case json.Unmarshal(text, &known) != nil:
		known = nil // it was cut off
	}
	all := slices.Clone(found)
	for _, d := range known {
		if !slices.ContainsFunc(all, func(o parts.Device) bool { return o.UUID == d.UUID || o.Ordinal == d.Ordinal }) {
			all = append(all, d)
		}
	}
	if len(all) == 0 {
		return nil, err
	}
	slices.SortFunc(all, func(x, y parts.Device) int { return x.Ordinal - y.Ordinal })
	if text, err = json.Marshal(all); err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("writing down which devices there are: %w", err)
	}
	return all, nil
}
