# SPDX-License-Identifier: Apache-2.0
#
# What BGP peers may send: fixed mutations, and with the fuzz preset coverage to steer by.
add_executable(bgp_mutations bgp_mutations.cpp bgp_fuzz.cpp)
target_link_libraries(bgp_mutations PRIVATE sluice_announce)
target_include_directories(bgp_mutations PRIVATE ${CMAKE_SOURCE_DIR})
sluice_compile_flags(bgp_mutations)
add_test(NAME fuzz_bgp COMMAND bgp_mutations 20000)
set_tests_properties(fuzz_bgp PROPERTIES LABELS fuzz TIMEOUT 300)
add_test(NAME fuzz_bgp_long COMMAND bgp_mutations 1000000 2)
set_tests_properties(fuzz_bgp_long PROPERTIES LABELS "fuzz;long" TIMEOUT 3600)

if(SLUICE_FUZZ)
    add_executable(bgp_fuzz bgp_fuzz_libfuzzer.cpp bgp_fuzz.cpp)
    target_link_libraries(bgp_fuzz PRIVATE sluice_announce)
    target_include_directories(bgp_fuzz PRIVATE ${CMAKE_SOURCE_DIR})
    sluice_compile_flags(bgp_fuzz)
    target_link_options(bgp_fuzz PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz_bgp_coverage
             COMMAND sh -c "mkdir -p corpus_bgp && exec ./bgp_fuzz -max_total_time=300 \
-max_len=8192 corpus_bgp"
             WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
    set_tests_properties(fuzz_bgp_coverage PROPERTIES LABELS "fuzz;long" TIMEOUT 900)
endif()
