"""Clients of files, however they behave, leave nothing behind in the servers or the kernel."""

import re

from jx.testing.lab import SystemTest, depends_on, limit

_CLIENTS = "test/io boot_image* tmp nonsense shares_of_connections many_clients_at_once"


@depends_on("smp", "variant")
class LeftoverTest(SystemTest):
    """The running memfs and userboot, and a memfs in the test itself."""

    @limit(300)
    def test_nothing_is_left(self) -> None:
        rounds = (_CLIENTS, "test/startup boot_files*", "k drain", "k mem")
        result = self.run_commands(*rounds, *rounds, *rounds, seconds=280)
        self.assertEqual([command.code for command in result.commands], [0] * len(rounds) * 3)
        counts = [self._objects(c.output.decode())
                  for c in result.commands if c.command == "k mem"]
        # The first round makes what the servers keep: VMOs of files, room for connections.
        self.assertIn("struct channel_pair", counts[0])
        self.assertEqual(counts[1], counts[2])

    @staticmethod
    def _objects(text: str) -> dict[str, int]:
        """Kernel objects and what belongs to them. (The handles of a server take slots in turn, so
        its table, of handle_chunks, grows for a while.)"""
        found = re.findall(r"^  (struct \S+) +\d+ B x (\d+) ", text, re.MULTILINE)
        return {name: int(count) for name, count in found}
