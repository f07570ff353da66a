"""The PCI bus: what its driver finds in machines of several shapes."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from jx.testing.lab import SystemTest, depends_on
from jx.tree import ROOT

_FILE = ROOT / "system" / "etc" / "services"
_OFFERS = "jacinth.pci.List jacinth.pci.VirtioBlock"
_PROGRAM = "/boot/svc/pci "

@depends_on("variant")
class BusTest(SystemTest):
    """`lspci`, with what QEMU was told to build."""

    def _list(self, machine: str, *devices: str) -> list[tuple[str, str]]:
        """Address and ids of all functions."""
        result = self.run_commands(
            "lspci", machine=machine, uefi=False, qemu_args=tuple(f"-device {one}" for one in devices)
        )
        self.assertEqual(result.commands[0].code, 0)
        text = result.commands[0].output.decode()
        return re.findall(r"(?m)^(\w\w:\w\w\.\d) (\w{4}:\w{4}) ", text)

    def test_bridges_and_functions(self) -> None:
        found = self._list(
            "q35",
            "pcie-root-port,id=a,chassis=1,addr=5.0,multifunction=on",
            "pcie-root-port,id=b,chassis=2,addr=5.3",
            "virtio-rng-pci,bus=b,addr=0.0",
            "pcie-pci-bridge,id=c,bus=a",
            "virtio-rng-pci,bus=c,addr=9.0,multifunction=on",
            "virtio-rng-pci,bus=c,addr=9.6",
            "pxb-pcie,id=d,bus_nr=64,bus=pcie.0",
            "pcie-root-port,id=e,chassis=3,bus=d",
            "virtio-balloon-pci,bus=e",
        )
        self.assertIn(("00:05.0", "1b36:000c"), found)
        self.assertIn(("00:05.3", "1b36:000c"), found)
        # A bus of its own, which no bridge leads to.
        self.assertIn(("40:00.0", "1b36:000c"), found)
        self.assertIn(("41:00.0", "1af4:1045"), found)
        behind = [(address, ids) for address, ids in found if address[:3] not in ("00:", "40:", "41:")]
        self.assertEqual([ids for _, ids in behind].count("1af4:1005"), 2, found)
        self.assertEqual([ids for _, ids in behind].count("1af4:1044"), 1, found)
        buses = {address[:2] for address, _ in behind}
        self.assertEqual(len(buses), 3, found)

    def test_configuration_through_ports(self) -> None:
        found = self._list("pc", "pci-bridge,id=a,chassis_nr=1", "virtio-rng-pci,bus=a,addr=3.0")
        self.assertIn(("00:00.0", "8086:1237"), found)
        self.assertIn("1af4:1005", [ids for address, ids in found if not address.startswith("00:")])

    def test_a_machine_without_a_bus(self) -> None:
        self.assertEqual(self._list("microvm"), [])

    def test_a_driver_and_its_device(self) -> None:
        """What the services file lets a program have, tried by the program."""
        text = _FILE.read_text()
        self.assertEqual((text.count(_OFFERS), text.count(_PROGRAM)), (1, 1))
        text = text.replace(_OFFERS, f"{_OFFERS} jacinth.pci.Test")
        text = text.replace(_PROGRAM, f"{_PROGRAM}jacinth.pci.Test=1af4:1044 ")
        text = text.replace(
            "programs measure/*",
            "programs measure/pci\n sees /boot /svc\n uses jacinth.pci.Test jacinth.pci.List\n\nprograms measure/*",
        )
        devices = ("pcie-root-port,id=a,chassis=1", "virtio-rng-pci,bus=a", "virtio-rng-pci")
        with TemporaryDirectory() as folder:
            path = Path(folder) / "services"
            path.write_text(text)
            result = self.run_commands(
                "measure/pci",
                machine="q35",
                uefi=False,
                adds=((path, "etc/services"),),
                qemu_args=tuple(f"-device {one}" for one in devices),
            )
        self.assertEqual(result.commands[0].code, 0, result.commands[0].output.decode())
