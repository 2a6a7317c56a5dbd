//===- Npz.cpp - Arrays in .npz files -------------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Npz.h"
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <unistd.h>
#include <zip.h>

using namespace headrace;

int64_t Array::getNumElements() const {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

/// The text after `'key':` in the header of an .npy file, or null.
static const char *findKey(const std::string &header, const char *key) {
  std::string quoted = std::string("'") + key + "':";
  size_t at = header.find(quoted);
  if (at == std::string::npos)
    return nullptr;
  const char *text = header.c_str() + at + quoted.size();
  while (*text == ' ')
    ++text;
  return text;
}

/// Parses the bytes of an .npy file.
static bool parseNpy(const std::vector<char> &file, Array &array,
                     std::string &error) {
  if (file.size() < 10 || std::memcmp(file.data(), "\x93NUMPY", 6) != 0) {
    error = "not an .npy file";
    return false;
  }
  auto byte = [&](size_t i) { return size_t(uint8_t(file[i])); };
  size_t start = file[6] == 1 ? 10 : 12;
  if (file.size() < start) {
    error = "truncated header";
    return false;
  }
  size_t length = byte(8) | byte(9) << 8;
  if (start == 12)
    length |= byte(10) << 16 | byte(11) << 24;
  if (length > file.size() - start) {
    error = "truncated header";
    return false;
  }
  std::string header(file.data() + start, length);
  const char *descr = findKey(header, "descr");
  const char *order = findKey(header, "fortran_order");
  const char *shape = findKey(header, "shape");
  if (!descr || !order || !shape || *descr != '\'' || *shape != '(') {
    error = "unexpected header";
    return false;
  }
  const char *end = std::strchr(descr + 1, '\'');
  std::string type(descr + 1, end ? size_t(end - descr - 1) : 0);
  if (type.size() < 3 || type[0] == '>') {
    error = "dtype '" + type + "' is not supported";
    return false;
  }
  array.type = type.substr(1);
  int64_t width = std::atoll(array.type.c_str() + 1);
  if (width < 1 || width > 8) {
    error = "dtype '" + type + "' is not supported";
    return false;
  }
  int64_t elements = 1;
  for (const char *p = shape + 1; *p && *p != ')';) {
    char *next;
    long long size = std::strtoll(p, &next, 10);
    if (next == p) {
      ++p;
      continue;
    }
    p = next;
    array.shape.push_back(size);
    if (size < 0 || __builtin_mul_overflow(elements, int64_t(size), &elements)) {
      error = "impossible shape";
      return false;
    }
  }
  size_t have = file.size() - start - length;
  int64_t need;
  if (__builtin_mul_overflow(elements, width, &need) ||
      uint64_t(need) != have) {
    error = "expected " + std::to_string(elements) + " elements of " +
            std::to_string(width) + " bytes but got " + std::to_string(have) +
            " bytes";
    return false;
  }
  array.bytes.resize(have);
  const char *data = file.data() + start + length;
  if (std::strncmp(order, "True", 4) != 0 || array.shape.size() < 2) {
    if (have)
      std::memcpy(array.bytes.data(), data, have);
    return true;
  }
  // Column-major: element i of the result, counted row-major, is at `from`.
  std::vector<int64_t> index(array.shape.size(), 0);
  for (int64_t i = 0; i < elements; ++i) {
    int64_t from = 0;
    for (size_t d = array.shape.size(); d-- > 0;)
      from = from * array.shape[d] + index[d];
    std::memcpy(array.bytes.data() + i * width, data + from * width,
                size_t(width));
    for (size_t d = array.shape.size(); d-- > 0;) {
      if (++index[d] < array.shape[d])
        break;
      index[d] = 0;
    }
  }
  return true;
}

bool headrace::readNpz(const std::string &path,
                       std::map<std::string, Array> &arrays,
                       std::string &error) {
  int code = 0;
  zip_t *archive = zip_open(path.c_str(), ZIP_RDONLY, &code);
  if (!archive) {
    zip_error_t reason;
    zip_error_init_with_code(&reason, code);
    error = "cannot read '" + path + "': " + zip_error_strerror(&reason);
    zip_error_fini(&reason);
    return false;
  }
  bool good = true;
  zip_int64_t entries = zip_get_num_entries(archive, 0);
  for (zip_int64_t i = 0; good && i < entries; ++i) {
    zip_stat_t status;
    if (zip_stat_index(archive, zip_uint64_t(i), 0, &status) != 0 ||
        !(status.valid & ZIP_STAT_SIZE) || !status.name) {
      error = "cannot read '" + path + "': damaged directory";
      good = false;
      break;
    }
    std::string name = status.name;
    if (name.size() > 4 && name.compare(name.size() - 4, 4, ".npy") == 0)
      name.resize(name.size() - 4);
    zip_file_t *file = zip_fopen_index(archive, zip_uint64_t(i), 0);
    std::vector<char> bytes;
    // Read past the announced size: only then is the CRC looked at.
    char block[1 << 16];
    zip_int64_t count = -1;
    while (file && (count = zip_fread(file, block, sizeof block)) > 0)
      bytes.insert(bytes.end(), block, block + count);
    if (!file || count < 0) {
      error = "cannot read '" + name + "' of '" + path +
              "': " + (file ? zip_file_strerror(file) : zip_strerror(archive));
      good = false;
    } else if (arrays.count(name)) {
      error = "'" + path + "' has '" + name + "' twice";
      good = false;
    } else if (std::string why; !parseNpy(bytes, arrays[name], why)) {
      error = "cannot read '" + name + "' of '" + path + "': " + why;
      good = false;
    }
    if (file)
      zip_fclose(file);
  }
  zip_discard(archive);
  return good;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

namespace {
/// The file that libzip writes an archive to.
struct Sink {
  OutputFile &file;
  zip_int64_t at = 0;
  zip_error_t error;
};
} // namespace

/// What libzip asks of a file. It would make a temporary file of its own and
/// rename it; ours is one already.
static zip_int64_t serveSink(void *state, void *data, zip_uint64_t size,
                             zip_source_cmd_t command) {
  Sink &sink = *static_cast<Sink *>(state);
  int fd = sink.file.getDescriptor();
  auto fail = [&](int code) {
    zip_error_set(&sink.error, code, errno);
    return zip_int64_t(-1);
  };
  switch (command) {
  case ZIP_SOURCE_SUPPORTS:
    return zip_source_make_command_bitmap(
        ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT,
        ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL,
        ZIP_SOURCE_BEGIN_WRITE, ZIP_SOURCE_COMMIT_WRITE,
        ZIP_SOURCE_ROLLBACK_WRITE, ZIP_SOURCE_WRITE, ZIP_SOURCE_SEEK_WRITE,
        ZIP_SOURCE_TELL_WRITE, ZIP_SOURCE_REMOVE, -1);
  case ZIP_SOURCE_STAT: {
    auto *status = static_cast<zip_stat_t *>(data);
    zip_stat_init(status);
    status->size = zip_uint64_t(sink.file.getBytes());
    status->valid = ZIP_STAT_SIZE;
    return sizeof *status;
  }
  case ZIP_SOURCE_ERROR:
    return zip_error_to_data(&sink.error, data, size);
  case ZIP_SOURCE_READ: {
    ssize_t count = pread(fd, data, size, sink.at);
    if (count < 0)
      return fail(ZIP_ER_READ);
    sink.at += count;
    return count;
  }
  case ZIP_SOURCE_WRITE: {
    ssize_t count = pwrite(fd, data, size, sink.at);
    if (count < 0)
      return fail(ZIP_ER_WRITE);
    sink.at += count;
    return count;
  }
  case ZIP_SOURCE_SEEK:
  case ZIP_SOURCE_SEEK_WRITE: {
    zip_int64_t to = zip_source_seek_compute_offset(
        zip_uint64_t(sink.at), zip_uint64_t(sink.file.getBytes()), data, size,
        &sink.error);
    if (to < 0)
      return -1;
    sink.at = to;
    return 0;
  }
  case ZIP_SOURCE_TELL:
  case ZIP_SOURCE_TELL_WRITE:
    return sink.at;
  case ZIP_SOURCE_OPEN:
  case ZIP_SOURCE_BEGIN_WRITE:
    sink.at = 0;
    return 0;
  default: // what there is to be done at the end is the caller's
    return 0;
  }
}

/// The bytes of an .npy file.
static std::vector<char> writeNpy(const Array &array) {
  std::string header = "{'descr': '";
  header +=
      array.type == "b1" || array.type == "i1" || array.type == "u1" ? "|" : "<";
  header += array.type + "', 'fortran_order': False, 'shape': (";
  for (int64_t size : array.shape)
    header += std::to_string(size) + ",";
  header += "), }";
  while ((10 + header.size() + 1) % 64)
    header += ' ';
  header += '\n';
  std::vector<char> file;
  file.reserve(10 + header.size() + array.bytes.size());
  const char magic[] = "\x93NUMPY\x01";
  file.insert(file.end(), magic, magic + 8);
  file.push_back(char(header.size() & 0xff));
  file.push_back(char(header.size() >> 8));
  file.insert(file.end(), header.begin(), header.end());
  file.insert(file.end(), array.bytes.begin(), array.bytes.end());
  return file;
}

bool headrace::writeNpz(
    OutputFile &file, const std::vector<std::pair<std::string, Array>> &arrays,
    std::string &error) {
  auto fail = [&](const std::string &why) {
    error = "cannot write '" + file.getPath() + "': " + why;
    return false;
  };
  // libzip makes no archive without entries.
  if (arrays.empty())
    return file.write("PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22,
                      error);
  Sink sink{file, 0, {}};
  zip_error_t reason;
  zip_error_init(&sink.error);
  zip_error_init(&reason);
  zip_source_t *source = zip_source_function_create(serveSink, &sink, &reason);
  zip_t *archive =
      source ? zip_open_from_source(source, ZIP_TRUNCATE, &reason) : nullptr;
  if (!archive) {
    if (source)
      zip_source_free(source);
    std::string why = zip_error_strerror(&reason);
    zip_error_fini(&reason);
    return fail(why);
  }
  std::vector<std::vector<char>> files;
  for (const auto &[name, array] : arrays) {
    files.push_back(writeNpy(array));
    zip_source_t *part = zip_source_buffer(archive, files.back().data(),
                                           files.back().size(), 0);
    zip_int64_t index =
        part ? zip_file_add(archive, (name + ".npy").c_str(), part,
                            ZIP_FL_OVERWRITE | ZIP_FL_ENC_UTF_8)
             : -1;
    if (part && index < 0)
      zip_source_free(part);
    if (index < 0 ||
        zip_set_file_compression(archive, zip_uint64_t(index), ZIP_CM_STORE,
                                 0) != 0) {
      fail(zip_strerror(archive));
      zip_discard(archive);
      return false;
    }
  }
  if (zip_close(archive) == 0)
    return true;
  fail(zip_strerror(archive));
  zip_discard(archive);
  return false;
}
