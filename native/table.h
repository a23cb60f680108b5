// What each instruction set offers, and what it is handed.
#pragma once

#include "ostinato.h"
#include "threads.h"

namespace ostinato {

// A kernel works on all threads that call it with the same arguments; `space` says first how much memory they share.
struct Team {
    int thread, threads;
    Barrier* all;
};

struct Table {
    const char* name;
    bool (*supported)();
    int64_t (*forward_space)(const OstinatoScan* scans, int64_t count, int64_t threads);
    void (*forward)(const OstinatoScan* scans, int64_t count, char* space, Team team);
    int64_t (*backward_space)(const OstinatoScan* scan, const OstinatoGradients* gradients, int64_t threads);
    void (*backward)(const OstinatoScan* scan, const OstinatoGradients* gradients, char* space, Team team);
    int64_t (*decoder_space)(const OstinatoDecoder* decoder, bool backward, int64_t threads);
    void (*decoder_forward)(const OstinatoDecoder* decoder, char* space, Team team);
    void (*decoder_backward)(const OstinatoDecoder* decoder, char* space, Team team);
    int64_t (*scan_packed)(const OstinatoScan* scan);
    int64_t (*decoder_packed)(const OstinatoDecoder* decoder);
    int64_t (*product_packed)(const OstinatoProduct* product);
    int64_t (*multiply_space)(const OstinatoProduct* product, int64_t threads);
    void (*multiply)(const OstinatoProduct* product, char* space, Team team);
    int64_t (*step_space)(const OstinatoStep* step, int64_t threads);
    void (*step)(const OstinatoStep* step, char* space, Team team);
    int64_t (*step_packed)(const OstinatoStep* step);
    void (*energies_forward)(const OstinatoEnergies* energies, Team team);
    int64_t (*energies_space)(const OstinatoEnergies* energies, int64_t threads);
    void (*energies_backward)(const OstinatoEnergies* energies, char* space, Team team);
    void (*linear_scan)(const OstinatoLinearScan* scan, bool backward, Team team);
    void (*activate)(int64_t kind, int64_t is_double, int64_t n, const void* x, void* y);
    bool has_half;
};

}  // namespace ostinato
