# SPDX-License-Identifier: GPL-2.0-or-later
"""A FAT32 volume in an image or on a stick, changed so that a power cut at any moment costs nothing but room.

Knows no more of FAT than an update needs: to read a file, to put one folder in the place of another, a file in the place of
another, and to write a file's sectors over. Whatever becomes visible by a write lies there whole, flushed before: clusters
first, then their chains, then the one sector of a folder that leads to them. Clusters are freed only once nothing leads
there any more. So between two flushes the stick may do the writes in any order. Source: Microsoft FAT Specification.
"""
import os
import struct

SECTOR = 512
ENTRY = 32
LAST = 0x0fffffff
END_FROM = 0x0ffffff8
FOLDER, VOLUME, LONG = 0x10, 0x08, 0x0f
LOWER_BASE, LOWER_ENDING = 0x08, 0x10
LONG_PLACES = [(1, 10), (14, 12), (28, 4)]      # bytes of an entry that hold parts of a long name
ESP_TYPE = bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b")
ENTRY_LEAST = 40                # bytes of GPT's entries, up to where a volume begins
DATE, TIME = 44 << 9 | 1 << 5 | 1, 0            # 2024-01-01, as mkusb's


class Broken(Exception):
    """It is no FAT32 volume that this can change; why."""


class Disk:
    """Sectors of a file or a device. Every write of an update goes through write(), what must be there before the next
    ones through flush()."""

    def __init__(self, path):
        exclusive = os.O_EXCL if os.path.exists(path) and not os.path.isfile(path) else 0
        self.handle = os.open(path, os.O_RDWR | exclusive)
        self.size = os.lseek(self.handle, 0, os.SEEK_END)

    def read(self, sector, count):
        if (sector + count) * SECTOR > self.size:
            raise Broken("it ends in the middle")
        data = os.pread(self.handle, count * SECTOR, sector * SECTOR)
        if len(data) != count * SECTOR:
            raise Broken("it ends in the middle")
        return data

    def write(self, sector, data):
        os.pwrite(self.handle, data, sector * SECTOR)

    def flush(self):
        os.fsync(self.handle)

    def forget(self):
        """What is read next comes from the stick, not from this PC's memory."""
        os.fsync(self.handle)
        os.posix_fadvise(self.handle, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self):
        os.close(self.handle)


def volumes(disk):
    """Where volumes may begin: that of GPT or MBR, or the disk's begin."""
    first = disk.read(0, 1)
    head = disk.read(1, 1)
    if head[:8] == b"EFI PART":
        at, count, size = struct.unpack_from("<QII", head, 72)
        if not ENTRY_LEAST <= size <= SECTOR:
            return []
        table = disk.read(at, -(-count * size // SECTOR))
        entries = [table[i * size:(i + 1) * size] for i in range(count)]
        entries.sort(key=lambda e: e[:16] != ESP_TYPE)
        return [struct.unpack_from("<Q", e, 32)[0] for e in entries if any(e[:16])]
    parts = [struct.unpack_from("<I", first, 446 + 16 * i + 8)[0] for i in range(4) if first[446 + 16 * i + 4]]
    return [0] if first[82:87] == b"FAT32" else parts


class Entry:
    def __init__(self, name, raw, sector, offset):
        self.name, self.raw, self.sector, self.offset = name, raw, sector, offset
        high, low, self.size = struct.unpack_from("<H4xHI", raw, 20)
        self.cluster, self.is_folder = high << 16 | low, bool(raw[11] & FOLDER)
        self.long = []          # where the entries of its long name stand: (sector, offset)


def short_name(raw):
    base, ending = raw[:8].decode("cp437").rstrip(), raw[8:11].decode("cp437").rstrip()
    base = base.lower() if raw[12] & LOWER_BASE else base
    ending = ending.lower() if raw[12] & LOWER_ENDING else ending
    return base + ("." + ending if ending else "")


def entry_bytes(short, attributes, flags, cluster, size):
    return struct.pack("<11sBBBHHHHHHHI", short, attributes, flags, 0, TIME, DATE, DATE, cluster >> 16, TIME, DATE,
                       cluster & 0xffff, size)


def long_entries(name, short):
    """What stands before the short entry."""
    total = 0
    for byte in short:
        total = ((total & 1) << 7 | total >> 1) + byte & 0xff
    text = name.encode("utf-16-le")
    text += b"\0\0" if len(text) % 26 else b""
    text = text.ljust(-(-len(text) // 26) * 26, b"\xff")
    pieces = [text[i:i + 26] for i in range(0, len(text), 26)]
    out = []
    for number, piece in enumerate(pieces, 1):
        raw = bytearray(ENTRY)
        raw[0], raw[11], raw[13] = number | (0x40 if number == len(pieces) else 0), LONG, total
        for at, length in LONG_PLACES:
            raw[at:at + length], piece = piece[:length], piece[length:]
        out.insert(0, bytes(raw))
    return b"".join(out)


class Volume:
    def __init__(self, disk):
        self.disk = disk
        for self.start in volumes(disk):
            boot = disk.read(self.start, 1)
            if boot[510:] == b"\x55\xaa" and boot[82:87] == b"FAT32":
                break
        else:
            raise Broken("there is no FAT32 volume in it")
        size, self.per_cluster, reserved, self.fats = struct.unpack_from("<HBHB", boot, 11)
        self.fat_sectors, _, _, self.root, info = struct.unpack_from("<IHHIH", boot, 36)
        sectors, = struct.unpack_from("<I", boot, 32)
        if size != SECTOR or not self.per_cluster:
            raise Broken("its sectors are not of 512 bytes")
        self.fat_at, self.info_at = self.start + reserved, self.start + info
        self.data_at = self.fat_at + self.fats * self.fat_sectors
        self.cluster_size = self.per_cluster * SECTOR
        count = (sectors - (self.data_at - self.start)) // self.per_cluster
        table = bytearray(disk.read(self.fat_at, self.fat_sectors))
        self.fat = memoryview(table).cast("I")
        self.count = min(count, len(self.fat) - 2)
        self.changed, self.next = set(), 2

    # Clusters.
    def place(self, cluster):
        if not 2 <= cluster < self.count + 2:
            raise Broken("one of its chains leads out of it; have it repaired (fsck.fat)")
        return self.data_at + (cluster - 2) * self.per_cluster

    def chain(self, cluster):
        seen = []
        while cluster < END_FROM:
            self.place(cluster)
            seen.append(cluster)
            if len(seen) > self.count:
                raise Broken("one of its chains is a circle; have it repaired (fsck.fat)")
            cluster = self.fat[cluster] & LAST
        return seen

    def set_fat(self, cluster, value):
        self.fat[cluster] = self.fat[cluster] & ~LAST | value
        self.changed.add(cluster * 4 // SECTOR)

    def write_fat(self):
        for sector in sorted(self.changed):
            data = bytes(self.fat[sector * SECTOR // 4:(sector + 1) * SECTOR // 4])
            for copy in range(self.fats):
                self.disk.write(self.fat_at + copy * self.fat_sectors + sector, data)
        self.changed.clear()
        self.disk.flush()

    def free_clusters(self):
        return sum(1 for n in range(2, self.count + 2) if not self.fat[n] & LAST)

    def take(self, count):
        """That many clusters as one chain."""
        taken = []
        while len(taken) < count:
            while self.next < self.count + 2 and self.fat[self.next] & LAST:
                self.next += 1
            if self.next >= self.count + 2:
                for cluster in taken:
                    self.set_fat(cluster, 0)
                raise Broken("there is no room left in it")
            taken.append(self.next)
            self.set_fat(self.next, LAST)
            self.next += 1
        for here, after in zip(taken, taken[1:]):
            self.set_fat(here, after)
        return taken

    def release(self, clusters):
        for cluster in clusters:
            self.set_fat(cluster, 0)
            self.next = min(self.next, cluster)
        self.write_fat()

    # Reading.
    def read_chain(self, cluster, size=None):
        data = b"".join(self.disk.read(self.place(c), self.per_cluster) for c in self.chain(cluster)) if cluster else b""
        return data if size is None else data[:size]

    def entries(self, cluster):
        long, places = {}, []
        for c in self.chain(cluster):
            data = self.disk.read(self.place(c), self.per_cluster)
            for at in range(0, len(data), ENTRY):
                raw, sector = data[at:at + ENTRY], self.place(c) + at // SECTOR
                if raw[0] == 0:
                    return
                if raw[0] == 0xe5:
                    long, places = {}, []
                elif raw[11] == LONG:
                    long[raw[0] & 0x1f] = b"".join(raw[p:p + n] for p, n in LONG_PLACES)
                    places.append((sector, at % SECTOR))
                elif raw[11] & VOLUME:
                    long, places = {}, []
                else:
                    name = b"".join(long[n] for n in sorted(long)).decode("utf-16-le", "replace").split("\0")[0]
                    entry = Entry(name or short_name(raw), raw, sector, at % SECTOR)
                    entry.long, long, places = places, {}, []
                    yield entry

    def find(self, path):
        """The entry of a path, or None."""
        cluster, entry = self.root, None
        for part in path.split("/"):
            if entry and not entry.is_folder:
                return None
            names = {e.name.lower(): e for e in self.entries(cluster)}
            entry = names.get(part.lower())
            if entry is None:
                return None
            cluster = entry.cluster or self.root
        return entry

    def read_file(self, path):
        entry = self.find(path)
        return None if entry is None or entry.is_folder else self.read_chain(entry.cluster, entry.size)

    def files(self, path):
        """The paths of all files below a folder."""
        folder = self.find(path)
        for entry in self.entries(folder.cluster) if folder and folder.is_folder else ():
            if entry.is_folder and entry.name not in (".", ".."):
                yield from self.files(f"{path}/{entry.name}")
            elif not entry.is_folder:
                yield f"{path}/{entry.name}"

    def tree(self, entry, seen=None):
        """All clusters below an entry, none of them twice, nor one of those that were seen; a circle of folders neither."""
        seen, clusters, todo = set() if seen is None else seen, [], [entry]
        while todo:
            entry = todo.pop()
            chain = self.chain(entry.cluster) if entry.cluster else []
            if not seen.isdisjoint(chain):
                raise Broken("two of its files share a cluster; have it repaired (fsck.fat)")
            seen.update(chain)
            clusters += chain
            if entry.is_folder:
                todo += (inner for inner in self.entries(entry.cluster) if inner.name not in (".", ".."))
        return clusters

    def check(self):
        """What belongs to two files would be freed with one of them, and then be overwritten."""
        seen = set(self.chain(self.root))
        for entry in self.entries(self.root):
            self.tree(entry, seen)

    # Changing.
    def put_data(self, pieces, size):
        """A chain with these pieces of data; its first cluster, 0 if there are none."""
        clusters = self.take(-(-size // self.cluster_size))
        rest = b""
        at = iter(clusters)
        for piece in pieces:
            rest += piece
            while len(rest) >= self.cluster_size:
                self.disk.write(self.place(next(at)), rest[:self.cluster_size])
                rest = rest[self.cluster_size:]
        if rest:
            self.disk.write(self.place(next(at)), rest.ljust(self.cluster_size, b"\0"))
        return clusters[0] if clusters else 0

    def put_folder(self, tree, parent):
        """tree: name -> (size, function that gives the pieces), or a dict for a folder. Its first cluster."""
        rows = sum(1 + -(-len(name.encode("utf-16-le")) // 26) for name in tree) + 2
        clusters = self.take(-(-rows * ENTRY // self.cluster_size))
        own = clusters[0]
        data = entry_bytes(b".          ", FOLDER, 0, own, 0)
        data += entry_bytes(b"..         ", FOLDER, 0, 0 if parent == self.root else parent, 0)
        for number, name in enumerate(sorted(tree)):
            short = f"{number:08d}   ".encode()
            if isinstance(tree[name], dict):
                entry = entry_bytes(short, FOLDER, 0, self.put_folder(tree[name], own), 0)
            else:
                size, pieces = tree[name]
                entry = entry_bytes(short, 0x20, 0, self.put_data(pieces(), size), size)
            data += long_entries(name, short) + entry
        for cluster in clusters:
            self.disk.write(self.place(cluster), data[:self.cluster_size].ljust(self.cluster_size, b"\0"))
            data = data[self.cluster_size:]
        return own

    def set_entry(self, sector, offset, raw):
        data = bytearray(self.disk.read(sector, 1))
        if data[offset] == 0 and offset + ENTRY < SECTOR:
            data[offset + ENTRY] = 0        # it was the folder's end, after which anything may stand
        data[offset:offset + ENTRY] = raw
        self.disk.write(sector, bytes(data))
        self.disk.flush()

    def room_in(self, folder):
        """(sector, offset) of a free entry; the folder gets longer for it if need be."""
        for c in self.chain(folder):
            data = self.disk.read(self.place(c), self.per_cluster)
            for at in range(0, len(data), ENTRY):
                if data[at] in (0, 0xe5):
                    return self.place(c) + at // SECTOR, at % SECTOR
        last = self.chain(folder)[-1]
        more, = self.take(1)
        self.disk.write(self.place(more), bytes(self.cluster_size))
        self.disk.flush()
        self.set_fat(last, more)
        self.write_fat()
        return self.place(more), 0

    def lead_to(self, path, cluster, size, attributes):
        """The entry of a path leads there from now on; one with a name of 8.3 is made if there is none. What it led to is
        freed."""
        folder, _, name = path.rpartition("/")
        self.disk.flush()
        self.write_fat()
        old = self.find(path)
        if old is not None:
            clusters = self.tree(old)
            raw = bytearray(old.raw)
            raw[11] = raw[11] & ~FOLDER | attributes & FOLDER
            struct.pack_into("<H", raw, 20, cluster >> 16)
            struct.pack_into("<HI", raw, 26, cluster & 0xffff, size)
            self.set_entry(old.sector, old.offset, bytes(raw))
            self.release(clusters)
            return
        parent = self.find(folder)
        if parent is None:
            raise Broken(f"it has no folder {folder}")
        base, _, ending = name.upper().partition(".")
        short = base.encode().ljust(8) + ending.encode().ljust(3)
        sector, offset = self.room_in(parent.cluster)
        self.set_entry(sector, offset, entry_bytes(short, attributes, LOWER_BASE | LOWER_ENDING, cluster, size))

    def replace_folder(self, path, tree):
        self.lead_to(path, self.put_folder(tree, self.find(path.rpartition("/")[0]).cluster), 0, FOLDER)

    def replace_file(self, path, data):
        self.lead_to(path, self.put_data([data], len(data)), len(data), 0x20)

    def write_over(self, path, data):
        """A file's first bytes, whole sectors within its first cluster."""
        entry = self.find(path)
        if entry is None or entry.size < len(data):
            return self.replace_file(path, data)
        self.disk.write(self.place(entry.cluster), data)
        self.disk.flush()
        return None

    def empty_folder(self, path):
        """Nothing leads to what was in it any more, and its clusters are free."""
        if self.find(path):
            self.replace_folder(path, {})

    def forget_counts(self):
        """The number of free clusters and the next one are hints that are wrong now: unknown is right."""
        info = bytearray(self.disk.read(self.info_at, 1))
        if info[:4] == b"RRaA" and info[488:496] != b"\xff" * 8:
            info[488:496] = b"\xff" * 8
            self.disk.write(self.info_at, bytes(info))
            self.disk.flush()
