// The MPI module: the only source that includes mpi.h.
#include "learn/mpi/module.h"

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>

namespace {

// Of this run's own, so that no other user of MPI in the process can take a message.
MPI_Comm communicator = MPI_COMM_NULL;

static_assert(sizeof(MPI_Request) <= sizeof(uint64_t));
uint64_t TicketOf(MPI_Request request) {
  uint64_t ticket = 0;
  std::memcpy(&ticket, &request, sizeof(request));
  return ticket;
}
MPI_Request RequestOf(uint64_t ticket) {
  MPI_Request request;
  std::memcpy(&request, &ticket, sizeof(request));
  return request;
}

void Copy(const char* from, char* to, size_t size) {
  if (size == 0) return;
  std::strncpy(to, from, size - 1);
  to[size - 1] = '\0';
}

int Open(int* rank, int* ranks) {
  int provided = 0;
  if (const int code = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided); code != MPI_SUCCESS) {
    return code;
  }
  if (provided < MPI_THREAD_FUNNELED) return MPI_ERR_UNSUPPORTED_OPERATION;
  if (const int code = MPI_Comm_dup(MPI_COMM_WORLD, &communicator); code != MPI_SUCCESS) return code;
  // A lost rank is an error of a call and not the end of the process.
  for (MPI_Comm comm : {MPI_COMM_WORLD, communicator}) MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
  MPI_Comm_rank(communicator, rank);
  return MPI_Comm_size(communicator, ranks);
}

// "Open MPI v4.1.4, package: …" up to the comma.
void Library(char* text, size_t size) {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> version{};
  int length = 0;
  MPI_Get_library_version(version.data(), &length);
  version.back() = '\0';
  version[std::strcspn(version.data(), ",\n")] = '\0';
  Copy(version.data(), text, size);
}

int Send(const void* bytes, int64_t size, int to, int tag, uint64_t* ticket) {
  if (size < 0 || size > INT_MAX) return MPI_ERR_COUNT;
  MPI_Request request;
  const int code = MPI_Isend(bytes, static_cast<int>(size), MPI_BYTE, to, tag, communicator, &request);
  *ticket = TicketOf(request);
  return code;
}

int Receive(void* bytes, int64_t size, int from, int tag, uint64_t* ticket) {
  if (size < 0 || size > INT_MAX) return MPI_ERR_COUNT;
  MPI_Request request;
  const int code = MPI_Irecv(bytes, static_cast<int>(size), MPI_BYTE, from, tag, communicator, &request);
  *ticket = TicketOf(request);
  return code;
}

int Test(uint64_t* ticket, int* done) {
  MPI_Request request = RequestOf(*ticket);
  const int code = MPI_Test(&request, done, MPI_STATUS_IGNORE);
  *ticket = TicketOf(request);
  return code;
}

void Explain(int code, char* text, size_t size) {
  std::array<char, MPI_MAX_ERROR_STRING> message{};
  int length = 0;
  MPI_Error_string(code, message.data(), &length);
  message.back() = '\0';
  Copy(message.data(), text, size);
}

void Close() {
  MPI_Comm_free(&communicator);
  MPI_Finalize();
}

constexpr lodestone::MpiModule kModule{.version = lodestone::kMpiModuleVersion,
                                       .open = Open,
                                       .library = Library,
                                       .send = Send,
                                       .receive = Receive,
                                       .test = Test,
                                       .explain = Explain,
                                       .close = Close};

}  // namespace

extern "C" __attribute__((visibility("default"))) const lodestone::MpiModule* lodestone_mpi() { return &kModule; }
